"""What makes models, and what makes them ready to be served."""
