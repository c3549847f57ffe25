"""The Audio Interaction Model as a library: audio in, decisions and text out."""
