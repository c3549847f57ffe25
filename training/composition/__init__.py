"""Streams: clips mixed over time, when an answer is due, and how rows and tokens are written."""
