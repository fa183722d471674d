"""A camera at one end of a link and a classifier at the other.

`protocol` is what crosses the link, `server` the classifier's end, `sender` the camera's.
"""
