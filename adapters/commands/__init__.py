"""One module for each command of `yuanshe`, imported when asked for; each holds a click command named `command`."""
