"""The decoder in Triton: each request brings calls of the engine, answered as they are done."""

from __future__ import annotations  # Triton's types are there only once this module is loaded

from collections.abc import Mapping, Sequence

import numpy as np
import triton_python_backend_utils as pb_utils

from soundflow.engine import Engine
from soundflow.models import load_decoder
from soundflow.serving.engine_server import EngineServer
from soundflow.serving.guard import Guard, end_process
from soundflow.serving.settings import ModelSettings
from soundflow.serving.versions import model_of

GAUGES = {
    "soundflow_decoder_sessions": "Sessions whose state this decoder holds.",
    "soundflow_decoder_calls": "Calls of the engine that are not over.",
}
EVENTS = ("soundflow_decoder_events_total", "What decoders met or did by themselves, by event.")


class TritonPythonModel:
    """What Triton's python backend calls; the work is the engine's, on a thread of its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model and warm it up; the server is ready after that."""
        settings = ModelSettings()
        kind = pb_utils.MetricFamily.GAUGE
        self._families = [pb_utils.MetricFamily(*gauge, kind) for gauge in GAUGES.items()]
        self._labels = {"version": args["model_version"]}  # two may run beside each other
        self._gauges = [family.Metric(labels=self._labels) for family in self._families]
        self._events = pb_utils.MetricFamily(*EVENTS, pb_utils.MetricFamily.COUNTER)
        self._counters: dict[str, pb_utils.Metric] = {}
        self._told = self._counted = (0, 0), dict[str, int]()
        model = model_of(args, settings.model)
        self._server = EngineServer(
            Engine(load_decoder(model, settings.around())),
            idle_close_s=settings.decoder_idle_close_s,
            measure=self._measure,
            failed=end_process,
            version=int(args["model_version"]),
        )
        self._server.start()
        self._guard = Guard()

    def execute(self, requests: Sequence[pb_utils.InferenceRequest]) -> None:
        """Hand copies of the calls over: a request's memory is given back before they are done."""
        for request in requests:
            back = _WayBack(request.get_response_sender())
            tensors = {tensor.name(): np.array(tensor.as_numpy()) for tensor in request.inputs()}
            try:
                self._server.take(tensors.pop("calls")[0], tensors, back)
            except (ValueError, RuntimeError) as error:
                back.refuse(error)
        self._tell()

    def finalize(self) -> None:
        """End the engine, and the server goes on."""
        self._guard.dismiss()
        self._server.stop()

    def _measure(self, sessions: int, calls: int, events: Mapping[str, int]) -> None:
        self._counted = (sessions, calls), dict(events)

    def _tell(self) -> None:
        """Set the metrics. Only while Triton waits for us: one that ends answers to none.

        It would wait for this thread then, and this thread for it.
        """
        if self._told != self._counted:
            (_, before), self._told = self._told, self._counted
            numbers, events = self._told
            for gauge, number in zip(self._gauges, numbers, strict=True):
                gauge.set(number)
            for event, times in events.items():
                if event not in self._counters:
                    self._counters[event] = self._events.Metric(
                        labels={"event": event, **self._labels}
                    )
                self._counters[event].increment(times - before.get(event, 0))


class _WayBack:
    def __init__(self, sender: pb_utils.InferenceResponseSender) -> None:
        self._sender = sender

    def send(self, replies: bytes) -> None:
        self._sender.send(_response(replies))

    def end(self, replies: bytes | None) -> None:
        final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
        self._sender.send(_response(replies) if replies else None, final)

    def gone(self) -> bool:
        return bool(self._sender.is_cancelled())

    def refuse(self, error: Exception) -> None:
        self._sender.send(pb_utils.InferenceResponse([], pb_utils.TritonError(str(error))))
        self.end(None)


def _response(replies: bytes) -> pb_utils.InferenceResponse:
    return pb_utils.InferenceResponse([pb_utils.Tensor("replies", np.array([replies], object))])
