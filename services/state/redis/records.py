"""Session records as Redis keeps them: each a hash of its own, so that a cluster spreads them."""

import itertools
import secrets
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from services.state.port import RecordBroken, SessionRecord
from services.state.redis.client import RedisClient, WrongType
from services.state.redis.config import RedisConfig


@dataclass(frozen=True, slots=True)
class _Document:
    """What is written. schema: changes when an old reader would misread a record."""

    record: SessionRecord
    schema: Literal[1]


_JSON = TypeAdapter(_Document)


@dataclass(frozen=True, slots=True)
class Kept:
    """A record and the write that made it.

    version: the name of that write, which no other has; "" where Redis has none.
    number: how many writes made the record.
    """

    version: str
    number: int
    record: SessionRecord


class Records:
    """Reads and writes records. Raises Unavailable, or RecordBroken for one that is not readable.

    Two processes never name a write alike, so a version that is as it was known stands for the
    whole record, its epoch included: it is all that a compare-and-set has to compare.
    """

    def __init__(self, client: RedisClient, config: RedisConfig) -> None:
        self._client = client
        self._prefix = f"{config.redis_prefix}:session:"
        self._kept_ms = round(config.closed_kept_s * 1000)
        self._write = client.script("write")
        self._writer = secrets.token_hex(6)
        self._writes = itertools.count()

    async def read(self, session_id: str) -> Kept | None:
        """Return what is there."""
        try:
            version, document = await self._client.read(
                self._key(session_id), ("version", "record")
            )
        except WrongType as error:
            raise RecordBroken(session_id, str(error)) from error
        return self._kept(session_id, version, document)

    async def write(self, base: Kept, record: SessionRecord) -> tuple[Kept | None, bool]:
        """Write a record over `base`. Return what is there then, and whether it is that."""
        session_id, number = record.session_id, base.number + 1
        version = f"{number}.{self._writer}.{next(self._writes)}"
        document = _JSON.dump_json(_Document(record, schema=1))
        try:
            there = await self._client.run(
                self._write,
                [self._key(session_id)],
                [base.version, version, document, self._kept_ms],
            )
        except WrongType as error:
            raise RecordBroken(session_id, str(error)) from error
        if there is None:
            return Kept(version, number, record), True
        return self._kept(session_id, *there), False

    async def keep(self, session_ids: list[str]) -> None:
        """Let records live on as after a write."""
        await self._client.keep(
            [self._key(session_id) for session_id in session_ids], self._kept_ms
        )

    def _key(self, session_id: str) -> str:
        return self._prefix + session_id

    def _kept(self, session_id: str, version: bytes | None, document: bytes | None) -> Kept | None:
        if not version and document is None:
            return None
        try:
            name = (version or b"").decode()
            number = int(name.partition(".")[0])
            return Kept(name, number, _JSON.validate_json(document or b"").record)
        except (ValidationError, ValueError) as error:
            raise RecordBroken(session_id, str(error)) from error
