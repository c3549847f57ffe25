"""Perception: chunks in, features out."""
