"""The order of acknowledgement, without a broker."""

import random

from services.transport.kafka.prefix import Prefix


def received(*offsets: int) -> Prefix[str]:
    prefix: Prefix[str] = Prefix()
    for offset in offsets:
        assert prefix.receive(offset, f"event {offset}")
    return prefix


def test_only_what_nothing_unfinished_comes_before_may_be_acknowledged() -> None:
    prefix = received(5, 6, 7)
    assert prefix.finish(7) == []
    assert prefix.finish(6) == []
    assert prefix.floor == 5
    assert prefix.finish(5) == ["event 5", "event 6", "event 7"]
    assert prefix.floor == 8


def test_offsets_that_a_topic_does_not_have_hold_nothing_back() -> None:
    prefix = received(3, 9, 30)
    assert prefix.finish(3) == ["event 3"]
    assert prefix.floor == 9
    assert prefix.finish(30) == []
    assert prefix.finish(9) == ["event 9", "event 30"]


def test_in_any_order_each_event_comes_out_once_and_in_order() -> None:
    rng = random.Random(4)
    offsets = list(range(200))
    prefix = received(*offsets)
    rng.shuffle(offsets)
    out: list[str] = []
    for number, offset in enumerate(offsets):
        out += prefix.finish(offset)
        unfinished = set(offsets[number + 1 :])
        assert len(out) == min(unfinished, default=200)
    assert out == [f"event {offset}" for offset in range(200)]


def test_finishing_twice_changes_nothing() -> None:
    prefix = received(0, 1)
    assert prefix.finish(0) == ["event 0"]
    assert prefix.finish(0) == []
    assert prefix.floor == 1


def test_a_message_that_comes_again_is_acknowledged_by_its_later_event() -> None:
    prefix = received(0, 1)
    assert not prefix.receive(0, "again")
    assert prefix.is_open(0)
    assert prefix.finish(0) == ["again"]
    assert not prefix.receive(0, "once more")
    assert not prefix.is_open(0)  # so it may be acknowledged at once


def test_a_partition_that_is_gone_acknowledges_nothing() -> None:
    prefix = received(0)
    prefix.closed = True
    assert prefix.finish(0) == []


def test_the_oldest_unfinished_message_tells_how_long_it_holds() -> None:
    prefix = received()
    assert prefix.held_s() == 0
    prefix.receive(0, "event")
    assert prefix.held_s() > 0
    prefix.finish(0)
    assert prefix.held_s() == 0
