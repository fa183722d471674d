"""What plugins bring and what it is made of: codecs, heads, settings, images, the registry."""
