"""A TCP connection between a caller and the server that a test can break in the ways nets do."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp

PIECE_BYTES = 4096
SEGMENT_BYTES = 536
AT_ONCE = aiohttp.ClientWSTimeout(ws_close=0.01)  # a broken wire brings no farewell to wait for


class Wire:
    """Carries every connection to one address. The buffers on the way to the caller are small."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.removeprefix("http://").partition(":")
        self._server_port = int(port)
        self._writers: list[asyncio.StreamWriter] = []
        self._to_server: list[asyncio.Task[None]] = []
        self._to_caller: list[asyncio.Task[None]] = []
        self.address = ""
        self._refusing = False

    def refuse(self) -> None:
        """Let nobody connect any more."""
        self._refusing = True

    def cut(self) -> None:
        """Reset both ends, as when a process is killed."""
        for writer in self._writers:
            writer.transport.abort()

    def go_dead(self) -> None:
        """Carry nothing any more and tell nobody, as when a cable is pulled."""
        for pump in (*self._to_server, *self._to_caller):
            pump.cancel()

    def go_deaf(self) -> None:
        """Carry nothing to the caller any more, as when it does not read."""
        for pump in self._to_caller:
            pump.cancel()

    @property
    def server_hung_up(self) -> bool:
        """Whether the server takes nothing more."""
        return any(pump.done() for pump in self._to_server)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of a caller."""
        if self._refusing:
            writer.transport.abort()
            return
        away = socket.socket()
        away.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE_BYTES)
        # The server's buffer has room for a number of segments, which locally have 64 KB each.
        away.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
        away.setblocking(False)
        await asyncio.get_running_loop().sock_connect(away, (self._host, self._server_port))
        server_reader, server_writer = await asyncio.open_connection(sock=away, limit=PIECE_BYTES)
        self._writers += [writer, server_writer]
        self._to_server.append(asyncio.create_task(_pump(reader, server_writer)))
        self._to_caller.append(asyncio.create_task(_pump(server_reader, writer)))

    async def end(self) -> None:
        """Let go of all connections."""
        self.go_dead()
        self.cut()
        pumps = (*self._to_server, *self._to_caller)
        await asyncio.gather(*pumps, return_exceptions=True)
        for writer in self._writers:
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def wire_to(address: str) -> AsyncIterator[Wire]:
    """Listen on a port of its own for what goes to `address`; `Wire.address` says where."""
    wire = Wire(address)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire.address = f"127.0.0.1:{port}"
    try:
        yield wire
    finally:
        server.close()
        await wire.end()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
        writer.close()
