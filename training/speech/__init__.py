"""What is said: texts as they are spoken, and the voices."""
