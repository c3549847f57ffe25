"""The errors that reach a caller, as one tree; each has a stable code and says what to do.

SoundFlowError
├── BadRequest          the caller sent something wrong; its session goes on
│   └── ProtocolBroken  what it sends is no longer to be understood; its call ends
├── SessionUnknown      no such session here
├── SessionExists       that session id is taken
├── Overloaded          the platform is full; retry after a while
├── NoDecoder           so it is, but it had taken the session in
├── Unavailable         a part that is needed cannot be reached
└── Failed              the platform is at fault, for this session alone
"""


class SoundFlowError(Exception):
    """Base of all errors that are told to a caller."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BadRequest(SoundFlowError):
    """The caller sent something that cannot be accepted."""


class ProtocolBroken(BadRequest):
    """The caller sent what the protocol has no place for: nothing more can be understood."""


class SessionUnknown(SoundFlowError):
    """The session was never opened here, or is long over."""

    def __init__(self, session_id: str) -> None:
        super().__init__(
            "session_unknown",
            f"there is no open session {session_id!r}; open one with Stream or /v1/stream",
        )


class SessionExists(SoundFlowError):
    """A session of that id was opened before."""

    def __init__(self, session_id: str) -> None:
        super().__init__("session_exists", f"session {session_id!r} exists; choose another id")


class Overloaded(SoundFlowError):
    """No capacity for one more session; those that run keep their speed."""

    def __init__(self, capacity: int, retry_after_s: int) -> None:
        super().__init__(
            "overloaded",
            f"all {capacity} sessions are taken; try again in {retry_after_s} s",
        )
        self.retry_after_s = retry_after_s


class NoDecoder(SoundFlowError):
    """A session was taken in that no decoder has room for: the platform admits too many."""

    def __init__(self) -> None:
        super().__init__("overloaded", "no decoder has room for this session; open it again later")


class Unavailable(SoundFlowError):
    """A part of the platform cannot be reached now."""


class ShuttingDown(Unavailable):
    """This server takes nobody new, and ends those who are here."""

    def __init__(self) -> None:
        super().__init__("shutting_down", "this server is stopping; connect to another")


class HandedOver(Unavailable):
    """This server stops and keeps no session; each goes on where its caller resumes it."""

    def __init__(self) -> None:
        super().__init__("handed_over", "this server is stopping; resume the session on another")


class Failed(SoundFlowError):
    """The platform could not go on with a session."""

    def __init__(self) -> None:
        super().__init__("internal", "the platform failed on this session; open a new one")
