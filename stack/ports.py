"""Free ports for servers that are to be several on one machine."""

import random
import socket
from contextlib import ExitStack

HOST = "127.0.0.1"

# Below those that systems give to outgoing connections: one of these could take the port of a
# server that is down for a moment, and a client that tries again and again can even meet itself.
CHOICE = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return that many ports that nobody listens on now."""
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            port = random.choice(CHOICE)
            probe = held.enter_context(socket.socket())
            try:
                probe.bind((HOST, port))
            except OSError:  # taken
                continue
            ports.append(port)
        return ports
