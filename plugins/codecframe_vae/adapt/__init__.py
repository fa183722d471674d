"""A classifier distilled, without labels, on what a standard codec leaves of images."""
