"""The Python interface: the engine of the commands for any model and any loader. No Hydra, no files unless asked."""
