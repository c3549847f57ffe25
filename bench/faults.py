"""What callers notice when a part of the platform is killed: `make bench-faults`.

Paced calls over the whole platform, as production runs it; in the middle of them one part after
the other is killed with SIGKILL. Callers come back by themselves, as careful clients do.
"""

import asyncio
import dataclasses
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import aiohttp
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from bench.caller import Call, call
from bench.load import Pcm16
from bench.material import conversations
from stack.keeper import Keeper
from stack.parts import Parts
from stack.platform import Platform
from stack.settings import StackSettings

VICTIMS = (
    "ingestion", "perception", "decision", "response", "encoder", "decoder", "redis", "kafka",
)  # fmt: skip

# Asked to end, as a deployment does with the services.
ASKED = ("ingestion:term", "perception:term", "decision:term", "response:term")
OPENING = {"instruction": "", "abilities": ["transcribe"]}

console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Round:
    """One kill, and what the callers made of it. failed: calls that did not end by themselves."""

    victim: str
    calls: Sequence[Call]
    failed: int
    killed_at: float

    @property
    def undecided(self) -> int:
        """Chunks without a decision."""
        return sum(one.undecided for one in self.calls)

    @property
    def lost_turns(self) -> int:
        """Turns that began and did not end well."""
        return sum(len(one.unfinished) for one in self.calls)

    @property
    def repeated(self) -> int:
        """Events that a caller was given twice."""
        return sum(len(one.repeated) for one in self.calls)

    @property
    def longest_gap_s(self) -> float:
        """The longest that any session waited for a decision, from the kill on."""
        until = [max(one.decided_at.values(), default=self.killed_at) for one in self.calls]
        return (
            max(
                one.longest_gap_s(self.killed_at, max(end, self.killed_at))
                for one, end in zip(self.calls, until, strict=True)
            )
            if self.calls
            else 0.0
        )

    @property
    def clean(self) -> bool:
        """Nothing was lost, nothing came twice, and every call ended as it should."""
        complete = all(one.closed == "complete" for one in self.calls)
        return complete and not (self.failed or self.undecided or self.lost_turns or self.repeated)


async def play(
    urls: Sequence[str],
    audio: Sequence[Pcm16],
    victim: str,
    strike: Callable[[], None],
    *,
    after_s: float,
) -> Round:
    """Hold the calls, spread over the replicas; strike in their middle; wait for their end."""
    async with aiohttp.ClientSession() as http:
        calls = [
            asyncio.create_task(call(http, [*urls[i % len(urls) :], *urls], pcm, OPENING))
            for i, pcm in enumerate(audio)
        ]
        await asyncio.sleep(after_s)
        killed_at = time.monotonic()
        await asyncio.to_thread(strike)
        ended = await asyncio.gather(*calls, return_exceptions=True)
    reports = [one for one in ended if isinstance(one, Call)]
    for error in ended:
        if not isinstance(error, Call):
            console.print(f"[red]{victim}: a call failed: {error!r}")
    return Round(victim, reports, len(ended) - len(reports), killed_at)


def end_part(platform: Platform, victim: str) -> None:
    """End the first part of a kind: killed as by a failing machine, or asked to (`kind:term`)."""
    kind, _, how = victim.partition(":")
    pid = Keeper(platform.settings.folder).states()[platform.settings.names(kind)[0]].pid
    if how == "term":
        os.kill(pid, signal.SIGTERM)
    else:
        os.killpg(os.getpgid(pid), signal.SIGKILL)


def healthy(platform: Platform, *, within_s: float = 60) -> None:
    """Wait until every part is there again. TimeoutError names those that are not."""
    deadline = time.monotonic() + within_s
    while ill := [seen.server.name for seen in platform.look() if seen.health]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not healthy after {within_s:g} s: {', '.join(ill)}")
        time.sleep(0.2)


def table(rounds: Sequence[Round]) -> Table:
    """Return the result as a table."""
    columns = (
        "killed", "calls", "chunks", "without decision", "turns", "turns lost", "twice",
        "resumed", "longest gap", "",
    )  # fmt: skip
    shown = Table(*columns, box=None)
    for one in rounds:
        shown.add_row(
            one.victim,
            f"{len(one.calls)}" + (f" +{one.failed} failed" if one.failed else ""),
            str(sum(report.chunks for report in one.calls)),
            str(one.undecided),
            str(sum(len(report.started) for report in one.calls)),
            str(one.lost_turns),
            str(one.repeated),
            str(sum(len(report.resumed_s) for report in one.calls)),
            f"{one.longest_gap_s:.1f} s",
            "ok" if one.clean else "NOT CLEAN",
        )
    return shown


def main(
    sessions: Annotated[int, typer.Option(help="Calls at once.")] = 20,
    seconds: Annotated[float, typer.Option(help="Of each call.")] = 40,
    model: Annotated[str, typer.Option(help="cascade, or null.")] = "cascade",
    replicas: Annotated[int, typer.Option(help="Of each service.")] = 2,
    victims: Annotated[str, typer.Option(help="Parts to kill, with commas between.")] = ",".join(
        [*VICTIMS, *ASKED]
    ),
    folder: Annotated[Path | None, typer.Option(help="Keep data and logs here.")] = None,
) -> None:
    """Kill each part in the middle of calls, and print what their callers noticed."""
    with TemporaryDirectory(prefix="soundflow-faults-") as temporary:
        settings = dataclasses.replace(
            StackSettings(), folder=folder or Path(temporary), model=model, replicas=replicas
        )
        settings = settings.on_free_ports()
        platform = Platform(Parts(settings))
        platform.up(lambda line: console.print(line, style="dim"))
        ports = [settings.ports[name] for name in settings.names("ingestion")]
        urls = [f"http://127.0.0.1:{port['http']}" for port in ports]
        rounds = []
        try:
            audio = [pcm.astype(np.int16) for pcm in conversations(sessions, seconds=seconds)]
            for victim in victims.split(","):
                healthy(platform)
                strike = partial(end_part, platform, victim)
                one = asyncio.run(play(urls, audio, victim, strike, after_s=seconds * 0.4))
                console.print(table([one]))
                rounds.append(one)
        finally:
            platform.down()
    Console().print(table(rounds))
    sys.exit(0 if all(one.clean for one in rounds) else 1)


if __name__ == "__main__":
    typer.run(main)
