"""A version of the model brought to the servers that run, beside the one that is in use.

Decoders first: nobody is moved by that. Once a server of the encoder has the new version too, each
session changes over with its next chunk, and what is being said is said to its end where it began.
Then the old version is taken away; sessions that could not change over by then are built anew, as
those of a lost server are.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from google.protobuf import json_format
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from services.core.errors import SoundFlowError
from services.inference.addresses import Addresses
from services.inference.config import InferenceConfig
from services.inference.triton_wire import connect

SETTLE_S = 10.0  # for replies that are being said
ASK_WITHIN_S = 10.0

Report = Callable[[str], None]


class RolloutFailed(SoundFlowError):
    """A server does not answer, or does not run the versions that it was told to."""

    def __init__(self, message: str) -> None:
        super().__init__("rollout_failed", message)


@dataclass(frozen=True, slots=True)
class _Server:
    """One model on one server. before: the versions that it ran when this began."""

    model: str
    address: str
    client: InferenceServerClient
    before: frozenset[int]

    def __str__(self) -> str:
        return f"{self.model} {self.address}"

    async def run(self, versions: Collection[int]) -> None:
        """Have it run these versions and no others; what is there already is not loaded again.

        Those that are taken away finish what they were asked. RolloutFailed.
        """
        try:
            answer = await self.client.get_model_config(self.model, client_timeout=ASK_WITHIN_S)
            answer.config.version_policy.specific.versions[:] = sorted(versions)
            override = json_format.MessageToJson(answer.config, preserving_proto_field_name=True)
            await self.client.load_model(self.model, config=override)
            # A version that is not in the repository is passed over as long as another one is.
            ready = [await self._is_ready(version) for version in versions]
        except InferenceServerException as error:
            raise RolloutFailed(f"{self} does not run {_listed(versions)}: {error}") from error
        if not all(ready):
            raise RolloutFailed(
                f"{self} does not run {_listed(versions)}: its repository lacks some"
            )

    async def _is_ready(self, version: int) -> bool:
        ready: bool = await self.client.is_model_ready(
            self.model, str(version), client_timeout=ASK_WITHIN_S
        )
        return ready


async def roll_out(
    config: InferenceConfig,
    version: int,
    report: Report = lambda line: None,
    *,
    settle_s: float = SETTLE_S,
) -> None:
    """Have all servers run this version instead of theirs.

    RolloutFailed: where one does not take the new version, all go on with what they had. Where one
    does not let go of the old one, that and those that follow go on with both.
    settle_s: how long both versions run.
    """
    async with AsyncExitStack() as stack:
        decoders = await _servers(stack, "decoder", config.decoders)
        encoders = await _servers(stack, "encoder", config.encoders)
        begun: list[_Server] = []
        try:
            for server in (*decoders, *encoders):
                begun.append(server)
                await server.run(server.before | {version})
                report(f"{server} runs version {version} beside {_listed(server.before)}")
        except RolloutFailed:
            for server in begun:
                with suppress(RolloutFailed):  # what is wrong with it is told already
                    await server.run(server.before)
            raise
        await asyncio.sleep(settle_s)
        for server in (*encoders, *decoders):
            await server.run({version})
            report(f"{server} runs version {version}")


async def _servers(stack: AsyncExitStack, model: str, names: Sequence[str]) -> list[_Server]:
    """Return all servers of a model. RolloutFailed where one does not answer, or none is there."""
    addresses = sorted(await Addresses(names).find())
    if not addresses:
        raise RolloutFailed(f"{', '.join(names)} leads to no server of the {model}")
    servers = []
    for address in addresses:
        client = connect(address)
        stack.push_async_callback(client.close)
        try:
            metadata = await client.get_model_metadata(model, client_timeout=ASK_WITHIN_S)
        except InferenceServerException as error:
            raise RolloutFailed(f"{model} {address} does not answer: {error}") from error
        servers.append(_Server(model, address, client, frozenset(map(int, metadata.versions))))
    return servers


def _listed(versions: Collection[int]) -> str:
    return ", ".join(map(str, sorted(versions)))
