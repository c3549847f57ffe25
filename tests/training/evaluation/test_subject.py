from pathlib import Path

import numpy as np
import torch
from pytest import approx, raises

from soundflow.audio import CHUNK_SAMPLES
from soundflow.checkpoint.folder import open_checkpoint
from soundflow.interaction import Ability, SessionSpec
from soundflow.models import load_model
from soundflow.unified.encoder import features_live
from soundflow.unified.prompts import STANDARD_PROMPTS
from tests.training.tiny import CONTROL, write_start
from training.composition.sequence import Parts, offline
from training.evaluation.offline import Offline, live, with_tail
from training.evaluation.subject import ModelSubject

CHUNKS = 12


def noise(chunks: int = CHUNKS, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, chunks * CHUNK_SAMPLES).astype(np.float32)


def test_a_model_is_heard_chunk_by_chunk() -> None:
    subject = ModelSubject(load_model("null"))
    heard = subject.hear(noise(), SessionSpec())
    subject.close()
    # It replies after every fifth chunk with the number of the newest.
    assert [(turn.chunk, turn.text) for turn in heard.turns] == [(4, "chunk 4"), (9, "chunk 9")]
    assert [screen.chunk for turn in heard.turns for screen in turn.screens] == [4, 9]
    assert heard.seconds == approx(4.8)
    assert heard.text == "chunk 4 chunk 9"


def test_sessions_do_not_know_of_each_other() -> None:
    subject = ModelSubject(load_model("null"))
    assert subject.hear(noise(), SessionSpec()).turns == subject.hear(noise(), SessionSpec()).turns
    subject.close()


def test_a_recording_is_whole_chunks() -> None:
    subject = ModelSubject(load_model("null"))
    with raises(ValueError, match="whole chunks"):
        subject.hear(noise()[:-1], SessionSpec())
    subject.close()


def test_a_recording_gets_a_silence_to_be_answered_in() -> None:
    pcm = noise(3)[:-100]
    longer = with_tail(pcm)
    assert len(longer) == 9 * CHUNK_SAMPLES
    assert (longer[: len(pcm)] == pcm).all()
    assert not longer[len(pcm) :].any()
    subject = ModelSubject(load_model("null"))
    assert live(subject)(pcm, SessionSpec()) == "chunk 4"
    subject.close()


def test_a_checkpoint_is_a_subject(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    subject = ModelSubject(load_model(str(write_start(tmp_path / "tiny"))))
    heard = subject.hear(noise(5), SessionSpec(instruction="hello"))
    subject.close()
    assert heard.chunks == 5
    assert heard.computed_s > 0


def test_offline_says_what_whole_sequences_make_most_likely(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    checkpoint = open_checkpoint(write_start(tmp_path / "tiny", seed=2))
    model = Offline(checkpoint)
    pcm = noise(2)
    said = model.tokens(pcm, SessionSpec(instruction="hello"))
    assert len(said) > 0

    # The same, as training lays it out and looks at it: in one piece, without a cache.
    decoder, tower = checkpoint.make_decoder(), checkpoint.make_encoder()
    parts = Parts(CONTROL, checkpoint.read_tokenizer())
    system = STANDARD_PROMPTS[Ability.CHAT]
    asked = offline("?", "hello", system, 2, parts)
    ids = torch.tensor([*asked.tokens_T[~asked.text_T].tolist(), *said])
    with torch.no_grad():
        embedded = decoder.embed(ids)
        embedded[ids == CONTROL.audio_pad] = features_live(tower, pcm).flatten(0, 1)
        likely = decoder(embedded[None])[0].argmax(dim=-1)
    assert likely[-len(said) - 1 : -1].tolist() == said
