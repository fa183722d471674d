"""Training of a learned codec in front of a classifier that is trained already."""
