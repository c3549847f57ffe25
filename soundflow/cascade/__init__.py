"""The cascade: pretrained parts in a row, each decision made by rules."""
