"""The four services that run the loop, the ports between them, and the ways to start them."""
