"""The decoder in Triton: each request brings calls of the engine, answered as they are done."""

from __future__ import annotations  # Triton's types are there only once this module is loaded

import os
from collections.abc import Sequence

import numpy as np
import triton_python_backend_utils as pb_utils

from soundflow.engine import Engine
from soundflow.models import load_decoder
from soundflow.serving.engine_server import EngineServer
from soundflow.serving.settings import ModelSettings

CALLS = "calls"


class TritonPythonModel:
    """What Triton's python backend calls; the work is the engine's, on a thread of its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model and warm it up; the server is ready after that."""
        settings = ModelSettings()
        self._families = []  # a metric lives as long as its family
        sessions = self._gauge("sessions", "Sessions whose state this decoder holds.")
        calls = self._gauge("calls", "Calls of the engine that are not answered to their end.")

        def measure(open_sessions: int, open_calls: int) -> None:
            sessions.set(open_sessions)
            calls.set(open_calls)

        self._server = EngineServer(
            Engine(load_decoder(settings.model, settings.chat())),
            idle_close_s=settings.decoder_idle_close_s,
            measure=measure,
            failed=lambda: os._exit(1),  # the server starts a new one
        )
        self._server.start()

    def execute(self, requests: Sequence[pb_utils.InferenceRequest]) -> None:
        """Hand the calls over; what they wait for keeps no other request waiting."""
        for request in requests:
            back = _WayBack(request.get_response_sender())
            # Copies: a request's memory is given back before its calls are done.
            tensors = {tensor.name(): np.array(tensor.as_numpy()) for tensor in request.inputs()}
            try:
                self._server.take(tensors.pop(CALLS)[0], tensors, back)
            except (ValueError, RuntimeError) as error:
                back.refuse(error)

    def finalize(self) -> None:
        """End the engine."""
        self._server.stop()

    def _gauge(self, name: str, description: str) -> pb_utils.Metric:
        kind = pb_utils.MetricFamily.GAUGE
        family = pb_utils.MetricFamily(f"soundflow_decoder_{name}", description, kind)
        self._families.append(family)
        return family.Metric(labels={})


class _WayBack:
    def __init__(self, sender: pb_utils.InferenceResponseSender) -> None:
        self._sender = sender

    def send(self, replies: bytes) -> None:
        tensor = pb_utils.Tensor("replies", np.array([replies], object))
        self._sender.send(pb_utils.InferenceResponse([tensor]))

    def end(self) -> None:
        self._sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def gone(self) -> bool:
        return bool(self._sender.is_cancelled())

    def refuse(self, error: Exception) -> None:
        self._sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error))))
        self.end()
