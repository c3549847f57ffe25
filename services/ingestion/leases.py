"""Leases: this replica keeps those of its sessions, and closes sessions that nobody keeps."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from services.core.errors import Unavailable
from services.state.port import SessionStore

log = logging.getLogger(__name__)

# A lease outlives two renewals that fail.
RENEWALS_IN_A_LEASE = 3
# After the store was away, holders get this many rounds to renew before anybody is closed.
ROUNDS_TO_RENEW = 4


def check_renewal(renew_s: float, lease_s: float) -> None:
    """Raise ValueError where sessions would be closed whose holder is well, between renewals."""
    if renew_s * RENEWALS_IN_A_LEASE > lease_s:
        raise ValueError(
            f"lease_renew_s (SOUNDFLOW_LEASE_RENEW_S) is {renew_s:g}, and a lease lasts "
            f"{lease_s:g} s (SOUNDFLOW_LEASE_S): renew at least {RENEWALS_IN_A_LEASE} times in "
            f"that, every {lease_s / RENEWALS_IN_A_LEASE:g} s or more often"
        )


@dataclass(slots=True)
class Leases:
    """Renews and reaps, round after round.

    held: this replica's sessions and their epochs. lost: called with one that is no longer ours.
    expired: called with one, and its epoch, whose holder is gone and whose caller did not resume.
    """

    store: SessionStore
    interval_s: float
    held: Callable[[], Mapping[str, int]]
    lost: Callable[[str], Awaitable[None]]
    expired: Callable[[str, int], Awaitable[None]]
    _patient_until_s: float = 0.0

    async def run(self) -> None:
        """Work until cancelled; while the store is away, sessions go on without it."""
        while True:
            await asyncio.sleep(self.interval_s)
            try:
                await self.round()
            except Unavailable as error:
                log.warning("leases are not renewed: %s", error)
                self._patient_until_s = time.monotonic() + ROUNDS_TO_RENEW * self.interval_s

    async def round(self) -> None:
        """Renew all, let go of what was taken, close what is left behind. Unavailable."""
        for session_id in await self.store.renew(self.held()):
            await self.lost(session_id)
        if time.monotonic() < self._patient_until_s:
            return
        for session_id, epoch in (await self.store.expired()).items():
            if session_id not in self.held():
                await self.expired(session_id, epoch)
