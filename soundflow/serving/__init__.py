"""A model behind an inference server: what its code wraps, and what its clients must know."""
