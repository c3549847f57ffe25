"""Response: decisions in, spoken turns out."""
