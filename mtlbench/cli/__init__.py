"""The command line: `entry` answers `--help` without torch and Hydra, `app` is Hydra around the commands."""
