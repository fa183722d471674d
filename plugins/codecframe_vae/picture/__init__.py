"""Fitting of picture layers: transform, tables and the decoder that shows both layers."""
