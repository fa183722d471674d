"""A codec for a classifier that exists: all that a `bottleneck` recipe asks for, chosen here."""
