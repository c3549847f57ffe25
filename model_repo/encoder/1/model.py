"""The encoder in Triton: the chunks of all requests that wait, of any sessions, in one batch."""

from __future__ import annotations  # Triton's types are there only once this module is loaded

from collections.abc import Sequence

import triton_python_backend_utils as pb_utils

from soundflow.models import load_encoder
from soundflow.serving.encoder_batch import INPUTS, EncoderBatch
from soundflow.serving.guard import Guard
from soundflow.serving.heap import freeze_heap
from soundflow.serving.settings import ModelSettings
from soundflow.serving.versions import model_of


class TritonPythonModel:
    """What Triton's python backend calls; dynamic batching hands it several requests at once."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model and warm it up; the server is ready after that."""
        settings = ModelSettings()
        model = model_of(args, settings.model)
        self._batch = EncoderBatch(load_encoder(model, settings.around()))
        self._batch.warm_up()
        self._guard = Guard()
        freeze_heap()

    def execute(
        self, requests: Sequence[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """Encode every chunk of every request."""
        inputs = [
            {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in INPUTS}
            for request in requests
        ]
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(*output) for output in outputs.items()])
            for outputs in self._batch.encode(inputs)
        ]

    def finalize(self) -> None:
        """End, and the server goes on."""
        self._guard.dismiss()
