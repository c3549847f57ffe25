"""The contract of Encoder and Decoder, over every model that there is."""

import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soundflow.audio import Chunk
from soundflow.decoder import Speaking, Spoken, Verdict
from soundflow.features import Features
from soundflow.interaction import Action, Kind, PastTurn, Piece, SessionSpec
from soundflow.media import open_media
from soundflow.models import Model, load_model
from soundflow.unified.encoder import UnifiedEncoder
from tests import golden
from tests.soundflow.checkpoint.folders import GOLDEN_INSTRUCTION
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.usefixtures("one_torch_thread")

PROMPTS = Path(__file__).parents[1] / "data" / "prompts"

# How far a batch may move a number: matrix products of other sizes round otherwise.
ROUNDING = 1e-5

EVERY_MODEL = ["null", "unified", pytest.param("cascade", marks=pytest.mark.models)]


def loaded(name: str, request: pytest.FixtureRequest) -> Model:
    folder = {"unified": "golden_folder", "unified small": "small_folder"}.get(name)
    return load_model(str(request.getfixturevalue(folder)) if folder else name)


# Random weights answer nothing, but they hear.
@pytest.fixture(scope="module", params=[*EVERY_MODEL, "unified small"])
def model(request: pytest.FixtureRequest) -> Model:
    return loaded(request.param, request)


@pytest.fixture(scope="module")
def speech() -> list[Chunk]:
    with open_media(PROMPTS / "conf-onlyperson.flac") as media:
        return list(media.chunks(["speech"]))


def encode(model: Model, chunks: Sequence[Chunk]) -> list[Features]:
    state: Any = model.encoder.initial()
    heard = []
    for chunk in chunks:
        [(features, state)] = model.encoder.encode([(chunk, state)])
        heard.append(features)
    return heard


def assert_same(one: Features, other: Features) -> None:
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        np.testing.assert_array_equal(tensor, other.tensors[name])


def test_features_keep_their_chunks_place(model: Model, speech: list[Chunk]) -> None:
    heard = encode(model, speech)
    assert [features.index for features in heard] == list(range(len(speech)))
    assert [features.last for features in heard] == [chunk.last for chunk in speech]
    assert {features.session_id for features in heard} == {"speech"}


def test_the_tensors_are_those_declared(model: Model, speech: list[Chunk]) -> None:
    for features in encode(model, speech):
        assert list(features.tensors) == [spec.name for spec in model.encoder.tensors]
        for spec in model.encoder.tensors:
            tensor = features.tensors[spec.name]
            assert tensor.dtype.name == spec.dtype
            assert len(tensor.shape) == len(spec.shape)
            assert tensor.shape[spec.varies :] == spec.shape[spec.varies :]


def test_another_replica_goes_on_with_the_same_numbers(model: Model, speech: list[Chunk]) -> None:
    whole = encode(model, speech)
    state: Any = model.encoder.initial()
    for chunk, expected in zip(speech, whole, strict=True):
        state = model.encoder.load(model.encoder.dump(state))
        [(features, state)] = model.encoder.encode([(chunk, state)])
        assert_same(features, expected)


def test_a_state_that_is_none_is_refused(model: Model) -> None:
    with pytest.raises(ValueError):
        model.encoder.load(b"something else")


def test_features_do_not_depend_on_the_batch(model: Model, speech: list[Chunk]) -> None:
    alone = encode(model, speech)
    silence = np.zeros_like(speech[0].pcm)
    mine: Any = model.encoder.initial()
    theirs: Any = model.encoder.initial()
    for chunk, expected in zip(speech, alone, strict=True):
        other = Chunk("other", chunk.index, silence, last=chunk.last)
        (_, theirs), (features, mine) = model.encoder.encode([(other, theirs), (chunk, mine)])
        if not isinstance(model.encoder, UnifiedEncoder):
            assert_same(features, expected)
        for name, tensor in expected.tensors.items():
            np.testing.assert_allclose(features.tensors[name], tensor, rtol=0, atol=ROUNDING)


class Stage:
    """Plays the engine's part for the decoder under test."""

    def __init__(self, model: Model, spec: SessionSpec, clip: Sequence[Chunk]) -> None:
        """Take what this model speaks about: a clip that it answers when it is told to."""
        self.model, self.spec, self.clip = model, spec, clip
        self.changed = threading.Event()
        model.decoder.start(lambda state: self.changed.set())

    def decide(self, batch: Sequence[tuple[Any, Sequence[Features]]]) -> list[Verdict]:
        verdicts: dict[int, Verdict] = {}
        left = dict(enumerate(batch))
        while left:
            stepped = self.model.decoder.step(list(left.values()), ())
            assert (len(stepped.heard), len(stepped.spoken)) == (len(left), 0)
            for place, verdict in zip(list(left), stepped.heard, strict=True):
                left[place] = (left[place][0], ())  # where it is not decided yet, with nothing new
                if verdict is not None:
                    assert isinstance(verdict, Verdict)
                    verdicts[place] = verdict
                    del left[place]
        return [verdicts[place] for place in range(len(batch))]

    def say(self, state: Any) -> list[Piece]:
        pieces: list[Piece] = []
        while True:
            self.changed.clear()
            [spoken] = self.model.decoder.step((), [(state, ())]).spoken
            assert isinstance(spoken, Spoken)
            pieces += spoken.pieces
            if spoken.speaking is Speaking.DONE:
                return pieces
            if spoken.speaking is Speaking.WAITING:
                assert self.changed.wait(DEADLINE_S), "waits, and nobody said that it is ready"

    def run(self, state: Any, heard: Sequence[Features]) -> tuple[list[Verdict], list[Piece]]:
        """Hear chunk by chunk, and let the session say all it has after each."""
        verdicts, pieces = [], []
        for features in heard:
            [verdict] = self.decide([(state, [features])])
            verdicts.append(verdict)
            if verdict.action is Action.RESPOND or verdict.unsettled:
                pieces += self.say(state)
        return verdicts, pieces


@pytest.fixture
def stage(request: pytest.FixtureRequest, speech: list[Chunk]) -> Iterator[Stage]:
    model = loaded(request.param, request)
    if request.param == "unified":  # its random weights have their own idea of speech
        stage = Stage(model, SessionSpec(GOLDEN_INSTRUCTION), golden.chunks("speech"))
    else:
        stage = Stage(model, SessionSpec(source_language="en"), speech)
    yield stage
    stage.model.decoder.stop()


every_model = pytest.mark.parametrize("stage", EVERY_MODEL, indirect=True)


@every_model
def test_a_decision_names_turns_exactly_when_it_responds(stage: Stage) -> None:
    state = stage.model.decoder.open(stage.spec, ())
    verdicts, _ = stage.run(state, encode(stage.model, stage.clip))
    assert any(verdict.action is Action.RESPOND for verdict in verdicts)
    for verdict in verdicts:
        assert bool(verdict.turns) == (verdict.action is Action.RESPOND)


@every_model
def test_every_turn_is_named_first_and_ends_once(stage: Stage) -> None:
    state = stage.model.decoder.open(stage.spec, ())
    named: set[int] = set()
    ended: list[int] = []
    for features in encode(stage.model, stage.clip):
        [verdict] = stage.decide([(state, [features])])
        named.update(start.turn for start in verdict.turns)
        for piece in stage.say(state):
            assert piece.turn in named
            assert piece.turn not in ended
            ended += [piece.turn] if piece.ended else []
    assert sorted(ended) == sorted(named) == list(range(1, len(named) + 1))


@every_model
def test_final_text_is_never_taken_back(stage: Stage) -> None:
    state = stage.model.decoder.open(stage.spec, ())
    _, pieces = stage.run(state, encode(stage.model, stage.clip))
    final: set[tuple[int, int]] = set()
    for piece in pieces:
        assert (piece.turn, piece.sequence) not in final
        if piece.final:
            final.add((piece.turn, piece.sequence))


@every_model
def test_a_rebuilt_session_numbers_its_turns_after_its_history(stage: Stage) -> None:
    state = stage.model.decoder.open(stage.spec, [PastTurn(7, Kind.NOTICE, "before")])
    verdicts, _ = stage.run(state, encode(stage.model, stage.clip))
    numbers = [start.turn for verdict in verdicts for start in verdict.turns]
    assert numbers[0] == 8
    assert all(later >= earlier for earlier, later in pairwise(numbers))


@every_model
def test_a_drained_queue_gets_one_verdict(stage: Stage) -> None:
    heard = encode(stage.model, stage.clip)
    one, other = (stage.model.decoder.open(stage.spec, ()) for _ in range(2))
    silence = [Chunk("other", 0, np.zeros_like(stage.clip[0].pcm))]
    first, second = stage.decide([(one, heard), (other, encode(stage.model, silence))])
    assert first.action is Action.RESPOND
    assert second.action is Action.SILENT
    assert stage.say(one)[-1].ended


@every_model
def test_a_session_that_is_closed_says_nothing_more(stage: Stage) -> None:
    closed, kept = (stage.model.decoder.open(stage.spec, ()) for _ in range(2))
    heard = encode(stage.model, stage.clip)
    stage.decide([(closed, heard)])
    stage.model.decoder.close(closed)
    _, pieces = stage.run(kept, heard)
    assert pieces[-1].ended
