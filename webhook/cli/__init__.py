"""The command `mirrorhook`: one module for each command, loaded when it is called."""
