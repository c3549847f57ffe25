"""Lets what comes one by one pass in groups: a request for each message costs most of the CPU."""

import asyncio


class Gate:
    """Opens at once after a quiet time, then every `interval_s` to all who wait, in order."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._opens_s = 0.0
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Return when the gate is open."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            now_s = loop.time()
            if now_s >= self._opens_s:
                self._opens_s = now_s + self._interval_s
                return
            loop.call_at(self._opens_s, self._open)
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _open(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._opens_s += self._interval_s
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)
