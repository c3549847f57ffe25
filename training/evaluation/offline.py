"""Whole recordings: a question about audio that is known to its end, answered once."""

from collections.abc import Callable

import numpy as np
import torch

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ, Pcm
from soundflow.checkpoint.folder import Checkpoint
from soundflow.interaction import Ability, SessionSpec
from soundflow.unified.encoder import features_live
from soundflow.unified.loading import dtype_of
from soundflow.unified.pages import PagedCache
from soundflow.unified.prompts import system_text
from soundflow.unified.runtime import Runtime
from training.composition.sequence import Parts, offline
from training.evaluation.subject import Subject

# What is asked of a recording, by an instruction or by what the model is to be able to do.
Answerer = Callable[[Pcm, SessionSpec], str]

# What a live session hears after the recording, to answer in.
TAIL_S = 2.4
MOST_TOKENS = 256


def live(subject: Subject) -> Answerer:
    """Answer in a session that hears the recording, and then a silence."""

    def answer(pcm_S: Pcm, spec: SessionSpec) -> str:
        return subject.hear(with_tail(pcm_S), spec).text

    return answer


def with_tail(pcm_S: Pcm) -> Pcm:
    """Return whole chunks: the recording, and the silence after it."""
    silence = round(TAIL_S * SAMPLE_RATE_HZ)
    rest = -(len(pcm_S) + silence) % CHUNK_SAMPLES
    return np.pad(pcm_S, (0, silence + rest))


class Offline:
    """A unified model in the form of its offline training: no decision, one answer, greedy."""

    def __init__(self, checkpoint: Checkpoint, device: str = "") -> None:
        """Read the weights. device: "" = the GPU, or the processor where there is none."""
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        kept = dtype_of(Runtime(), device, checkpoint.encoder)
        self._tower = checkpoint.make_encoder(kept, device).eval().requires_grad_(False)
        kept = dtype_of(Runtime(), device, checkpoint.decoder)
        self._model = checkpoint.make_decoder(kept, device).eval().requires_grad_(False)
        self._parts = Parts(checkpoint.control, checkpoint.read_tokenizer())
        config = checkpoint.decoder_config
        pages = -(-config.max_positions // 16)
        self._cache = PagedCache(config, pages, dtype=self._model.dtype, device=device)
        self._longest = config.max_positions

    def __call__(self, pcm_S: Pcm, spec: SessionSpec) -> str:
        """Answer. See `tokens`."""
        return self._parts.text.decode(self.tokens(pcm_S, spec)).strip()

    def tokens(self, pcm_S: Pcm, spec: SessionSpec) -> list[int]:
        """Return the answer's tokens. ValueError where the recording is too long for the model.

        The instruction of the spec is asked as the user's words; its abilities as the system's.
        """
        whole_S = np.pad(pcm_S, (0, -len(pcm_S) % CHUNK_SAMPLES))
        chunks = len(whole_S) // CHUNK_SAMPLES
        system = system_text(SessionSpec(abilities=spec.abilities or frozenset({Ability.CHAT})))
        made = offline("?", spec.instruction, system, chunks, self._parts)
        asked_T = torch.from_numpy(made.tokens_T[~made.text_T])
        if len(asked_T) + MOST_TOKENS > self._longest:
            raise ValueError(f"{chunks} chunks do not fit in {self._longest} positions")
        embedded_TD = self._model.embed(asked_T)
        with torch.inference_mode():
            frames_NPD = features_live(self._tower, whole_S)
            heard_T = asked_T == self._parts.control.audio_pad
            embedded_TD = embedded_TD.clone()
            embedded_TD[heard_T.to(embedded_TD.device)] = frames_NPD.flatten(0, 1).to(embedded_TD)
        return self._say(embedded_TD)

    def _say(self, embedded_TD: torch.Tensor) -> list[int]:
        lane = self._cache.lane()
        said: list[int] = []
        try:
            while len(said) < MOST_TOKENS:
                [token] = self._model.extend([(lane, embedded_TD)]).argmax(dim=-1).tolist()
                if token in (self._parts.control.text_end, self._parts.control.silence):
                    break
                said.append(token)
                embedded_TD = self._model.embed([token])
        finally:
            lane.release()
        return said
