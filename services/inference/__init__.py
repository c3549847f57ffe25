"""How services reach the encoder and the decoder."""
