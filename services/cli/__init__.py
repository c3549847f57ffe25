"""The command line: `soundflow serve`, `listen`, `task` and `models`."""
