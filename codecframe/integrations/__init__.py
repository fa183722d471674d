"""Codecs inside other libraries: torch, Hugging Face datasets, Ray Data."""
