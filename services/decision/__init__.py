"""Decision: features in, one decision for each drained queue out."""
