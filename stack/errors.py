"""What can go wrong with servers on this machine; every message says what to do.

StackError
├── Missing      a program or a fetched thing is not on this machine
├── FetchFailed  it could not be fetched
└── NotReady     a server did not come up
"""


class StackError(Exception):
    """Base of this package's errors."""


class Missing(StackError):
    """Something that a server needs is not on this machine."""


class FetchFailed(StackError):
    """A source could not deliver, or the disk could not hold it."""


class NotReady(StackError):
    """A server ended, or does not answer as it should."""
