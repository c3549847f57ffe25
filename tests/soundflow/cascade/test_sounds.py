from collections.abc import Iterable

import pytest

from soundflow.cascade.policy import Row
from soundflow.cascade.sounds import Alarm, AlarmTracker, Edge, EventTracker, Latch, SoundEvent
from tests.soundflow.cascade.sound_scores import (
    BARK,
    GLASS,
    SILENCE,
    SMOKE_ALARM,
    SPEECH,
    Scores,
    scores,
)

MUSIC = scores({"Music": 0.99, "Guitar": 0.7})


def alarms(chunks: Iterable[Scores]) -> list[Alarm]:
    tracker = AlarmTracker()
    heard = [tracker.hear(index, chunk) for index, chunk in enumerate(chunks)]
    return [alarm for alarm in heard if alarm]


def names(chunks: Iterable[Scores]) -> list[str]:
    return [alarm.row.name for alarm in alarms(chunks)]


def edges(latch: Latch, levels: Iterable[float]) -> list[Edge]:
    return [latch.hear(index, level) for index, level in enumerate(levels)]


def test_a_latch_rises_and_falls_once_with_hysteresis() -> None:
    latch = Latch(on=0.6, off=0.3, chunks=2, span_chunks=2, quiet_chunks=3)
    levels = [0.0, 0.7, 0.5, 0.7, 0.8, 0.4, 0.4, 0.2, 0.4, 0.2, 0.2, 0.2, 0.2]
    heard = edges(latch, levels)
    assert [index for index, edge in enumerate(heard) if edge is Edge.ROSE] == [4]
    assert [index for index, edge in enumerate(heard) if edge is Edge.FELL] == [11]
    assert (latch.first, latch.last) == (3, 8)


def test_a_latch_can_rise_again() -> None:
    latch = Latch(on=0.5, off=0.3, chunks=1, span_chunks=1, quiet_chunks=1)
    assert edges(latch, [0.6, 0.0, 0.6]) == [Edge.ROSE, Edge.FELL, Edge.ROSE]


@pytest.mark.parametrize(("span_chunks", "rises"), [(3, [2]), (2, [])])
def test_a_latch_bridges_gaps_within_its_span(span_chunks: int, rises: list[int]) -> None:
    latch = Latch(on=0.5, off=0.3, chunks=2, span_chunks=span_chunks, quiet_chunks=9)
    heard = edges(latch, [0.6, 0.0, 0.6, 0.0, 0.0])
    assert [index for index, edge in enumerate(heard) if edge is Edge.ROSE] == rises


def test_one_alarm_is_one_response() -> None:
    [alarm] = alarms([SILENCE] * 3 + [SMOKE_ALARM] * 200)
    assert alarm.row.name == "smoke alarm"
    assert alarm.onset_ms == 3 * 400


def test_pauses_between_the_pulses_of_an_alarm_do_not_end_it() -> None:
    cycle = [SMOKE_ALARM] * 7 + [SILENCE] * 3
    assert names(cycle * 10) == ["smoke alarm"]


def test_an_alarm_that_returns_later_is_answered_again() -> None:
    assert names([SMOKE_ALARM] * 10 + [SILENCE] * 30 + [SMOKE_ALARM] * 10) == ["smoke alarm"] * 2


def test_one_chunk_is_not_enough_for_a_lasting_sound_but_for_a_short_one() -> None:
    assert names([SILENCE, SMOKE_ALARM, SILENCE]) == []
    assert names([SILENCE, GLASS, SILENCE]) == ["glass"]


def test_one_crash_that_fits_several_rows_is_one_response_by_the_first_to_be_sure() -> None:
    blast = scores({"Explosion": 0.8, "Skidding": 0.7, "Shatter": 0.5})
    assert names([blast, blast, GLASS, GLASS, SILENCE, SILENCE]) == ["collision"]


def test_another_danger_during_an_alarm_is_answered() -> None:
    cough = scores({"Smoke detector, smoke alarm": 0.9, "Cough": 0.9})
    chunks = [SMOKE_ALARM] * 10 + [cough] * 3 + [SMOKE_ALARM] * 10
    assert names(chunks) == ["smoke alarm", "choking or cough"]


@pytest.mark.parametrize(
    "ordinary",
    [
        SILENCE,
        SPEECH,
        MUSIC,
        BARK,
        scores({"Telephone": 0.98, "Telephone bell ringing": 0.95, "Alarm": 0.95}),
        scores({"Alarm clock": 0.9, "Alarm": 0.9}),
        scores({"Door": 0.8, "Slam": 0.8, "Wood": 0.5}),
        scores({"Fireworks": 0.9, "Explosion": 0.7, "Firecracker": 0.6}),
        scores({"Laughter": 0.9, "Crying, sobbing": 0.5, "Screaming": 0.5}),
        scores({"Whistle": 0.9, "Steam whistle": 0.9, "Train": 0.8, "Civil defense siren": 0.6}),
        scores({"Snoring": 0.9, "Wheeze": 0.5, "Gasp": 0.5}),
        scores({"Water tap, faucet": 0.9, "Water": 0.9, "Crackle": 0.3}),
    ],
    ids=[
        *("silence", "speech", "music", "bark", "telephone", "alarm clock", "door", "fireworks"),
        *("laughter", "train whistle", "snoring", "water"),
    ],
)
def test_ordinary_sounds_are_met_with_silence(ordinary: Scores) -> None:
    assert names([ordinary] * 20) == []


@pytest.mark.parametrize("rival", ["Music", "Bird", "Guitar"])
def test_a_louder_look_alike_keeps_a_row_silent(rival: str) -> None:
    heard = {"Siren": 0.8, "Emergency vehicle": 0.7}
    assert names([scores(heard)] * 5) == ["siren"]
    assert names([scores(heard | {rival: 0.9})] * 5) == []


def test_music_that_sets_in_does_not_restart_an_alarm() -> None:
    both = scores({"Smoke detector, smoke alarm": 0.7, "Music": 0.95})
    assert names([SMOKE_ALARM] * 5 + [both] * 30 + [SMOKE_ALARM] * 5) == ["smoke alarm"]


def test_all_of_an_alternative_must_be_heard() -> None:
    row = Row("test", (("Glass", "Breaking"),), "Step back.", chunks=1)
    tracker = AlarmTracker([row])
    assert tracker.hear(0, scores({"Glass": 0.9})) is None
    assert tracker.hear(1, scores({"Breaking": 0.9})) is None
    assert tracker.hear(2, scores({"Glass": 0.9, "Breaking": 0.5})) == Alarm(row, 800)


def events(chunks: Iterable[Scores]) -> list[list[SoundEvent]]:
    tracker = EventTracker()
    heard = [tracker.hear(index, chunk) for index, chunk in enumerate(chunks)]
    return [*heard, tracker.finish()]


def test_a_sound_is_named_once_when_it_has_ended() -> None:
    told = events([SILENCE] * 2 + [BARK] * 3 + [SILENCE] * 4)
    event = SoundEvent("a dog barking", start_ms=800, end_ms=2000)
    assert told == [[], [], [], [], [], [], [], [event], [], []]


def test_a_sound_that_the_end_cuts_off_is_named_at_the_end() -> None:
    assert events([SILENCE, BARK])[-1] == [SoundEvent("a dog barking", 400, 800)]


def test_a_short_pause_does_not_part_an_event() -> None:
    told = events([BARK, SILENCE, BARK, SILENCE, SILENCE, BARK, *[SILENCE] * 5])
    assert [event.label for chunk in told for event in chunk] == ["a dog barking"]


def test_two_sounds_at_once_are_both_named() -> None:
    both = scores({"Speech": 0.95, "Dog": 0.9, "Bark": 0.9})
    told = events([both, both, *[SILENCE] * 5])
    assert {event.label for chunk in told for event in chunk} == {"speech", "a dog barking"}


def test_the_share_that_a_neighbour_gets_of_a_score_is_not_an_event() -> None:
    told = events([scores({"Owl": 1.0, "Bird": 0.59, "Dog": 0.55})] * 3 + [SILENCE] * 5)
    assert [event.label for chunk in told for event in chunk] == ["an owl hooting"]


def test_silence_and_rooms_are_no_events() -> None:
    room = scores({"Inside, small room": 0.95, "Silence": 0.9, "Noise": 0.9, "Hum": 0.9})
    assert not any(events([room] * 10))
