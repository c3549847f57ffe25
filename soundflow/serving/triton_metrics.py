"""What a decoder in Triton tells of itself, as metrics of that server's."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

GAUGES = {
    "soundflow_decoder_sessions": "Sessions whose state this decoder holds.",
    "soundflow_decoder_calls": "Calls of the engine that are not over.",
}
EVENTS = ("soundflow_decoder_events_total", "What decoders met or did by themselves, by event.")


class TritonMetrics:
    """Takes the numbers from the engine's thread, and tells them on Triton's.

    backend: `triton_python_backend_utils`, which there is in Triton's processes only.
    version: of the model; two may run beside each other.
    """

    def __init__(self, backend: ModuleType, version: str) -> None:
        family, self._labels = backend.MetricFamily, {"version": version}
        self._gauges = [family(*gauge, family.GAUGE) for gauge in GAUGES.items()]
        self._set = [gauge.Metric(labels=self._labels) for gauge in self._gauges]
        self._events = family(*EVENTS, family.COUNTER)
        self._counters: dict[str, Any] = {}
        self._told = self._measured = (0, 0), dict[str, int]()

    def measure(self, sessions: int, calls: int, events: Mapping[str, int]) -> None:
        """Take note of what there is now; events: how often each was met, from the start."""
        self._measured = (sessions, calls), dict(events)

    def tell(self) -> None:
        """Set the metrics. Only while Triton waits for us: one that ends answers to none.

        It would wait for this thread then, and this thread for it.
        """
        if self._told == self._measured:
            return
        (_, before), self._told = self._told, self._measured
        numbers, events = self._told
        for gauge, number in zip(self._set, numbers, strict=True):
            gauge.set(number)
        for event, times in events.items():
            if event not in self._counters:
                labels = {"event": event, **self._labels}
                self._counters[event] = self._events.Metric(labels=labels)
            self._counters[event].increment(times - before.get(event, 0))
