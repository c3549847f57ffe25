"""The decoder in Triton: each request brings calls of the engine, answered as they are done."""

from __future__ import annotations  # Triton's types are there only once this module is loaded

from collections.abc import Sequence

import numpy as np
import triton_python_backend_utils as pb_utils

from soundflow.engine import Engine
from soundflow.models import load_decoder
from soundflow.serving.engine_server import EngineServer
from soundflow.serving.guard import Guard, end_process
from soundflow.serving.heap import freeze_heap
from soundflow.serving.settings import ModelSettings
from soundflow.serving.triton_metrics import TritonMetrics
from soundflow.serving.versions import model_of


class TritonPythonModel:
    """What Triton's python backend calls; the work is the engine's, on a thread of its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model and warm it up; the server is ready after that."""
        settings = ModelSettings()
        self._metrics = TritonMetrics(pb_utils, args["model_version"])
        model = model_of(args, settings.model)
        self._server = EngineServer(
            Engine(load_decoder(model, settings.around())),
            idle_close_s=settings.decoder_idle_close_s,
            measure=self._metrics.measure,
            failed=end_process,
            version=int(args["model_version"]),
        )
        self._server.start()
        self._guard = Guard()
        freeze_heap()

    def execute(self, requests: Sequence[pb_utils.InferenceRequest]) -> None:
        """Hand copies of the calls over: a request's memory is given back before they are done."""
        for request in requests:
            back = _WayBack(request.get_response_sender())
            tensors = {tensor.name(): np.array(tensor.as_numpy()) for tensor in request.inputs()}
            try:
                self._server.take(tensors.pop("calls")[0], tensors, back)
            except (ValueError, RuntimeError) as error:
                back.refuse(error)
        self._metrics.tell()

    def finalize(self) -> None:
        """End the engine, and the server goes on."""
        self._guard.dismiss()
        self._server.stop()


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
