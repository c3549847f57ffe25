"""Evaluation: what a model does on recordings it has never heard, each figure with its interval."""
