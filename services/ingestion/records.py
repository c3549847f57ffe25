"""The changes of a session's record that ingestion makes. Each is the same made twice as once."""

import dataclasses
import hashlib
import secrets
from dataclasses import dataclass

from services.core.errors import BadRequest
from services.state.port import SessionRecord


def new_token() -> str:
    """Return a token that nobody can guess: whoever has it may go on with the session."""
    return secrets.token_urlsafe(16)


def digest(token: str) -> str:
    """Return what the record keeps of a token: who reads records cannot resume sessions."""
    return hashlib.sha256(token.encode()).hexdigest()


def check_token(record: SessionRecord, token: str) -> None:
    """Raise BadRequest when the token is another session's, or nobody's."""
    if not secrets.compare_digest(record.token_sha256, digest(token)):
        raise BadRequest(
            "bad_token",
            f"this is not the resume_token of session {record.session_id!r}; "
            "take the one of its session.opened",
        )


@dataclass(slots=True)
class TakeOver:
    """A session changes hands.

    before: who held it. written_unix_us: when the record was written before. epoch: since it
    changed hands; None before that.
    """

    address: str
    before: str = ""
    written_unix_us: int = 0
    epoch: int | None = None

    def __call__(self, record: SessionRecord) -> SessionRecord:
        """Return the record with its new owner; one that is closed stays as it is."""
        ours = record.owner == self.address and record.epoch == self.epoch
        if ours:
            return record
        self.written_unix_us = record.updated_unix_us
        if record.closed:
            return record
        self.before, self.epoch = record.owner, record.epoch + 1
        return dataclasses.replace(record, owner=self.address, epoch=self.epoch)


@dataclass(slots=True)
class Closing:
    """A session ends, unless it changed hands since `epoch`. was_open: it ended by this."""

    reason: str
    epoch: int | None = None
    was_open: bool = False

    def __call__(self, record: SessionRecord) -> SessionRecord:
        """Return the record as closed."""
        moved = self.epoch is not None and record.epoch != self.epoch
        if record.closed or moved:
            # An earlier call may have been given what was outdated; or its answer was lost.
            self.was_open = self.was_open and record.closed == self.reason
            return record
        self.was_open = True
        return dataclasses.replace(record, closed=self.reason)
