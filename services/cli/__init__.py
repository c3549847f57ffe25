"""The command line, `soundflow`."""
