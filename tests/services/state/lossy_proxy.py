"""A way to a server on which answers can be lost after the server has done what it was asked."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum


class Loss(Enum):
    """What becomes of an answer: passed on, lost with its connection, or lost without a word."""

    NONE = "none"
    BROKEN = "broken"
    SILENT = "silent"


@dataclass
class LossyProxy:
    """losses: what becomes of the next answers; when none is left, they are passed on."""

    target_port: int
    port: int = 0
    losses: list[Loss] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        asking = asyncio.create_task(_forward(reader, server_writer))
        try:
            while answer := await server_reader.read(1 << 16):
                loss = self.losses.pop(0) if self.losses else Loss.NONE
                if loss is Loss.BROKEN:
                    break
                if loss is Loss.NONE:
                    writer.write(answer)
        finally:
            asking.cancel()
            for one in (writer, server_writer):
                one.close()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while asked := await reader.read(1 << 16):
            writer.write(asked)
    writer.close()


@asynccontextmanager
async def lossy(
    target_port: int, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[LossyProxy]:
    """Listen on a free port; under TLS where a context is given."""
    proxy = LossyProxy(target_port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
