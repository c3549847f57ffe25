"""A decoder around a model that is told what to do, and what its lanes then hold."""

from dataclasses import replace
from typing import Any

from soundflow.interaction import (
    Ability,
    Piece,
    SessionSpec,
)
from tests.soundflow.unified.hashed_model import control_tokens
from tests.soundflow.unified.play import SMALL, Play, Played, make_decoder
from tests.soundflow.unified.told_model import (
    LETTER,
    RESPOND,
    Reply,
    Sounds,
    ToldModel,
)

CONTROL = control_tokens()
CHAT = SessionSpec("talk", frozenset({Ability.CHAT}))


class Stage:
    def __init__(self, reply: Reply | None = None, sessions: int = 8, **settings: Any) -> None:
        self.lm = ToldModel(reply)
        self.settings = replace(SMALL, **settings)
        self.decoder, self.cache = make_decoder(self.lm.cast(), self.settings, sessions=sessions)
        self.play = Play(self.decoder)
        self.sounds: dict[str, Sounds] = {}

    def open(self, name: str = "a", spec: SessionSpec = CHAT) -> Played:
        self.sounds[name] = Sounds(name)
        return self.play.open(name, spec)

    def hear(self, *codes: float, name: str = "a") -> Played:
        """Let a session hear a drained queue, and say all it has to."""
        return self.play.run(name, self.sounds[name].chunks(*codes))

    def held(self, session: Played) -> list[int]:
        """Return what the lane holds, without its prefix."""
        tokens = self.lm.tokens_of(session.state.lane)
        return tokens[tokens.index(CONTROL.text_end) + 1 :]


BLOCK = [CONTROL.audio_begin, *[-1] * 10, CONTROL.assistant]
LETTERS = [LETTER + place for place in range(5)]


def pieces(session: Played) -> list[Piece]:
    return [told for told in session.told if isinstance(told, Piece)]


def said(session: Played) -> str:
    return "".join(piece.text for piece in pieces(session))


def talk_over(stage: Stage, session: Played, *codes: float, after_tokens: int = 6) -> None:
    """Let chunks come while the session speaks."""
    session.queue += stage.sounds["a"].chunks(RESPOND)
    while not session.speaks or len(stage.held(session)) < len(BLOCK) + after_tokens:
        stage.play.step()
    session.queue += stage.sounds["a"].chunks(*codes)
