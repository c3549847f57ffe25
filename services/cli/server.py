"""Reaching a platform over HTTP: its address, and in words what went wrong on the way."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

import aiohttp
from yarl import URL

from services.cli.errors import CliError

DEFAULT_SERVER = "http://127.0.0.1:8080"


def address(server: str) -> URL:
    """Read a server's address; `ws:` means `http:`. CliError."""
    schemes = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
    try:
        url = URL(server)
        return url.with_scheme(schemes[url.scheme])
    except (KeyError, ValueError):
        raise CliError(
            f"{server!r} is no server's address; write it like {DEFAULT_SERVER}"
        ) from None


@contextmanager
def reaching(server: str) -> Iterator[None]:
    """Turn what can go wrong while connecting into words. CliError."""
    try:
        yield
    except aiohttp.WSServerHandshakeError as error:
        raise refusal(server, error.status, error.headers) from error
    except aiohttp.ClientConnectorError as error:
        raise CliError(
            f"no platform answers at {server}; start one with `make run` or `soundflow serve`, "
            f"or name another with --server ({error.os_error.strerror or error.os_error})"
        ) from error
    except TimeoutError as error:  # it has no words of its own
        raise CliError(f"the platform at {server} does not answer") from error
    except aiohttp.ClientError as error:
        raise CliError(f"the platform at {server} cannot be reached: {error}") from error


def refusal(
    server: str, status: int, headers: Mapping[str, str] | None, message: str = ""
) -> CliError:
    """Explain an answer that is not the one hoped for; `message` is the server's own."""
    match status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            retry_after_s = (headers or {}).get("Retry-After")
            wait = f"in {retry_after_s} s" if retry_after_s else "later"
            return CliError(f"the platform at {server} is full; try again {wait}")
        case HTTPStatus.SERVICE_UNAVAILABLE:
            return CliError(f"the platform at {server} is starting or stopping; try again")
    return CliError(
        message
        or f"what answers at {server} is no SoundFlow platform (HTTP {status}); check --server"
    )
