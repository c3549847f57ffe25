"""Ingestion: callers in, exact chunks out, events back."""
