"""`soundflow serve`: the platform in this process, until it is told to end."""

import asyncio
import errno
import logging
import socket

import typer

from services.cli.errors import CliError
from services.cli.models import ready_model
from services.ingestion.config import IngestionConfig
from services.ingestion.servers import Addresses
from services.serve import serve
from soundflow.serving.heap import freeze_heap

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def run_serve(model: str, config: IngestionConfig) -> None:
    """Serve until SIGINT or SIGTERM. CliError when that cannot even begin."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    _check_free(config.host, config.http_port, option="--http-port")
    _check_free(config.host, config.grpc_port, option="--grpc-port")
    asyncio.run(serve(ready_model(model), config, ready=_announce))


def _check_free(host: str, port: int, *, option: str) -> None:
    """Find out about a taken port before the model's long start."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        taken = f"end what uses it, or choose another with {option}"
        advice = taken if error.errno == errno.EADDRINUSE else f"look at --host and {option}"
        raise CliError(f"cannot listen on {host}:{port}: {error.strerror}; {advice}") from error


def _announce(addresses: Addresses) -> None:
    freeze_heap()
    typer.echo(f"SoundFlow listens. Console: {addresses.http}  gRPC: {addresses.grpc}")
    typer.echo("Ctrl-C ends it.")
