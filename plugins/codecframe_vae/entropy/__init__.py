"""Entropy coding of latents with integer tables."""
