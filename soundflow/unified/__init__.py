"""The unified model of arXiv 2606.05121: one network that hears, decides and answers."""
