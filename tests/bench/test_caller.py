from bench.caller import Call
from bench.faults import Round


def told(*events: dict[str, object]) -> Call:
    one = Call(chunks=3, closed="complete")
    for event in events:
        one.note(event)
    return one


def decision(chunk: int) -> dict[str, object]:
    return {"type": "decision", "chunk": chunk, "latency_ms": 1.0}


def test_a_decision_covers_what_came_since_the_one_before() -> None:
    assert told(decision(2)).undecided == 0
    assert told(decision(0)).undecided == 2
    assert told().undecided == 3


def test_what_was_dropped_unheard_is_covered_by_no_decision() -> None:
    one = told({"type": "overrun", "start_ms": 0, "end_ms": 800, "chunks": 2}, decision(2))
    assert one.undecided == 2
    assert not Round("decoder", [one], 0, 0.0).clean
