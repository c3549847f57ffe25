"""Training itself: batches, the network, steps, and what is kept of a run."""
