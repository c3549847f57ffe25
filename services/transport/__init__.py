"""How messages travel between services."""
