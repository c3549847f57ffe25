"""What training lays out is what a live session holds."""

from dataclasses import dataclass

import numpy as np
import pytest

from soundflow.interaction import Ability, SessionSpec
from soundflow.unified.prompts import system_text
from soundflow.unified.sampling import GREEDY
from tests.soundflow.unified.hashed_model import text_tokens
from tests.soundflow.unified.told_model import LETTER, RESPOND, SILENT, Reply
from tests.soundflow.unified.told_stage import CONTROL, Stage
from training.composition.sequence import Parts, TokenSequence, sequences
from training.composition.timeline import Answer, Drain

SPEC = SessionSpec("talk", frozenset({Ability.CHAT}))
PARTS = Parts(CONTROL, text_tokens())
FRAME = -1  # how a lane shows what stands where a PAD stood


@dataclass(frozen=True)
class Moment:
    """What the lane held after a queue, and how often it had been laid out anew by then."""

    tokens: list[int]
    layouts: int


def live(drained: list[Drain], reply: Reply) -> tuple[Stage, list[Moment]]:
    stage = Stage(reply)
    session = stage.open("a", SPEC)
    moments = []
    for drain in drained:
        stage.hear(*[SILENT] * (drain.chunks - 1), RESPOND if drain.answer else SILENT)
        lane = stage.lm.tokens_of(session.state.lane)
        moments.append(Moment(lane, stage.decoder.counts["layout"]))
    return stage, moments


def shown(sequence: TokenSequence) -> list[int]:
    return [FRAME if token == CONTROL.pad else token for token in sequence.tokens_T.tolist()]


@pytest.mark.parametrize("emotion", ["", "happy"])
@pytest.mark.parametrize("seed", range(6))
def test_a_session_holds_what_it_was_trained_on(seed: int, emotion: str) -> None:
    rng = np.random.default_rng(seed)
    reply = Reply(5, emotion)
    answer = Answer(PARTS.text.decode(range(LETTER, LETTER + 5)), emotion)
    drained: list[Drain] = []
    for _ in range(25):
        first = drained[-1].first + drained[-1].chunks if drained else 0
        said = answer if rng.random() < 0.3 else None
        drained.append(Drain(first, int(rng.integers(1, 4)), said))
    stage, moments = live(drained, reply)
    assert stage.settings.sampling == GREEDY and stage.decoder.counts["unexpected_token"] == 0
    found = list(sequences(drained, system_text(SPEC), PARTS, stage.settings))
    assert len(found) > 3
    # After the newest queue, a session may have made room already for what never comes.
    compared = [moment for moment in moments if moment.layouts < len(found)]
    assert len(compared) >= len(moments) - 1
    for moment in compared:
        # The newest token of an answer is fed with what comes next.
        assert moment.tokens == shown(found[moment.layouts])[: len(moment.tokens)]
    if compared == moments:
        assert len(shown(found[-1])) - len(moments[-1].tokens) <= 1
