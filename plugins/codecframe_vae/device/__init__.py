"""Encoders for devices that have neither codecframe nor Python's usual packages."""
