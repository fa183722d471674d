"""Measuring codecs for a head, choosing one, and showing why."""
