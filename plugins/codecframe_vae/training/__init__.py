"""Training of learned codecs and of the classifiers around them. All but `settings` needs torch."""
