"""The commands `serve` and `send`."""
