"""The command line: `entry` answers `--help` without torch and Hydra, `app` runs the commands with Hydra."""
