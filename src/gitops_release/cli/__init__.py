"""The commands: settings, wiring and the console."""
