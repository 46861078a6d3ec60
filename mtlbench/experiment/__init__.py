"""An experiment: build its components once, skip stored cells, compute and store the missing ones."""
