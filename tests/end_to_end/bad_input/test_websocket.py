"""What bad input gets over WebSocket: what ends the call, and what is told of while it goes on."""

import numpy as np
import pytest
from aiohttp import WSCloseCode

from tests.end_to_end.bad_input.sent import MAX_MESSAGE_BYTES, OPEN
from tests.end_to_end.platform import Running, running, tone


def opening(**audio: object) -> dict[str, object]:
    return {**OPEN, "audio": audio}


# What breaks the protocol ends the call.


REFUSED_AT_OPEN = {
    "audio before open": (tone(chunks=1), "no_open", "session.open"),
    "another message first": ({"type": "instruct", "text": "x"}, "no_open", "session.open"),
    "no JSON": ("{type: session.open", "bad_json", "JSON"),
    "JSON that is no object": ("[1, 2]", "bad_field", "object"),
    "no type": ({"instruction": "x"}, "unknown_type", "type"),
    "unknown type": ({"type": "session.start"}, "unknown_type", "session.start"),
    "unknown field": ({**OPEN, "colour": "red"}, "unknown_field", "session.open.colour"),
    "unknown field of audio": (opening(bits=16), "unknown_field", "session.open.audio.bits"),
    "wrong type of a field": (opening(channels="two"), "bad_field", "session.open.audio.channels"),
    "0 Hz": (opening(sample_rate_hz=0), "bad_rate", "0 Hz"),
    "7 channels": (opening(channels=7), "bad_channels", "7 channels"),
    "0 channels": (opening(channels=0), "bad_channels", "0 channels"),
    "unknown encoding": (opening(encoding="mp3"), "bad_field", "session.open.audio.encoding"),
    "unknown ability": ({**OPEN, "abilities": ["sing"]}, "unknown_ability", "'sing'"),
    "no language": ({**OPEN, "source_language": "Deutsch"}, "bad_language", "'Deutsch'"),
    "an endless instruction": (
        {**OPEN, "instruction": "listen " * 1000},
        "instruction_too_long",
        "4000",
    ),
    "unknown model": ({**OPEN, "model": "huge"}, "unknown_model", "'huge'"),
}


@pytest.mark.parametrize(
    ("first", "code", "named"), REFUSED_AT_OPEN.values(), ids=REFUSED_AT_OPEN.keys()
)
async def test_a_websocket_that_opens_wrongly_is_told_and_closed(
    served: Running, first: object, code: str, named: str
) -> None:
    async with served.connect() as stream:
        await stream.send(first)
        events = await stream.rest()
    assert [event["type"] for event in events] == ["error"]
    assert events[0]["code"] == code
    assert named in events[0]["message"]
    assert stream.socket.close_code == WSCloseCode.POLICY_VIOLATION


async def test_a_websocket_that_never_opens_is_closed() -> None:
    async with running(open_within_s=0.1) as served, served.connect() as stream:
        events = await stream.rest()
    assert [event["code"] for event in events] == ["no_open"]


BROKEN_LATER = {
    "second open": (OPEN, "second_open", WSCloseCode.POLICY_VIOLATION),
    "no JSON": ("nonsense", "bad_json", WSCloseCode.POLICY_VIOLATION),
    "unknown field": (
        {"type": "audio.end", "now": True},
        "unknown_field",
        WSCloseCode.POLICY_VIOLATION,
    ),
    "a text over the limit": (
        {"type": "instruct", "text": "x" * MAX_MESSAGE_BYTES},
        "message_too_large",
        WSCloseCode.MESSAGE_TOO_BIG,
    ),
    "a message over the limit": (
        bytes(MAX_MESSAGE_BYTES + 2),
        "message_too_large",
        WSCloseCode.MESSAGE_TOO_BIG,
    ),
}


@pytest.mark.parametrize(
    ("message", "code", "close_code"), BROKEN_LATER.values(), ids=BROKEN_LATER.keys()
)
async def test_a_websocket_call_that_breaks_the_protocol_ends_with_the_reason(
    served: Running, message: object, code: str, close_code: int
) -> None:
    async with served.stream() as stream:
        await stream.until("session.opened")
        await stream.send(message)
        events = await stream.rest()
    assert [event["code"] for event in stream.of("error")] == [code]
    assert (events[-1]["type"], events[-1]["reason"]) == ("session.closed", "error")
    assert stream.socket.close_code == close_code


async def test_a_message_far_over_the_limit_is_not_even_read(served: Running) -> None:
    async with served.stream() as stream:
        session_id = (await stream.until("session.opened"))["session_id"]
        await stream.send(bytes(10 * MAX_MESSAGE_BYTES))
        await stream.rest()
    assert stream.socket.close_code == WSCloseCode.MESSAGE_TOO_BIG
    assert await served.closed_for(session_id) == "client_gone"


# Audio that cannot be used is told of, and the call goes on.


async def test_samples_that_are_no_numbers_are_refused_and_the_next_ones_heard(
    served: Running,
) -> None:
    samples = np.zeros(6400, np.float32)
    samples[100] = np.nan
    async with served.stream(audio={"encoding": "pcm_f32le"}) as stream:
        await stream.send(samples.tobytes())
        error = await stream.until("error")
        await stream.send(np.zeros(6400, np.float32).tobytes())
        await stream.until("decision", chunk=0)
        await stream.send({"type": "audio.end"})
        events = await stream.rest()
    assert error["code"] == "bad_samples"
    assert "sample 100" in error["message"]
    assert events[-1]["reason"] == "complete"


async def test_an_odd_byte_at_the_end_is_told_of_and_costs_nothing_else(served: Running) -> None:
    async with served.stream() as stream:
        await stream.send(tone(chunks=1) + b"\x00")
        await stream.send({"type": "audio.end"})
        events = await stream.rest()
    assert [event["code"] for event in stream.of("error")] == ["odd_length"]
    assert events[-1] == events[-1] | {"reason": "complete", "chunks": 2}


async def test_a_timestamp_from_another_clock_is_refused(served: Running) -> None:
    async with served.stream() as stream:
        for timestamp_ms in (0, 10**9):
            await stream.send({"type": "audio.timestamp", "timestamp_ms": timestamp_ms})
            await stream.send(tone(chunks=1))
        error = await stream.until("error")
        await stream.send({"type": "audio.end"})
        events = await stream.rest()
    assert error["code"] == "bad_timestamp"
    assert events[-1] == events[-1] | {"reason": "complete", "chunks": 2}


async def test_an_instruction_without_words_is_refused(served: Running) -> None:
    async with served.stream() as stream:
        await stream.send({"type": "instruct", "text": "  "})
        assert (await stream.until("error"))["code"] == "empty_instruction"
        await stream.send({"type": "audio.end"})
        assert (await stream.rest())[-1]["reason"] == "complete"


async def test_audio_after_the_end_is_not_heard(served: Running) -> None:
    async with served.stream() as stream:
        await stream.until("session.opened")
        await stream.send(tone(chunks=1))
        await stream.send({"type": "audio.end"})
        await stream.send(tone(chunks=1))
        events = await stream.rest()
    assert {event["code"] for event in stream.of("error")} <= {"audio_after_end"}
    assert events[-1] == events[-1] | {"reason": "complete", "chunks": 2}


async def test_a_call_without_audio_is_one_empty_chunk(served: Running) -> None:
    async with served.stream() as stream:
        await stream.send(b"")
        await stream.send({"type": "audio.end"})
        events = await stream.rest()
    assert [event["decision"] for event in stream.of("decision")] == ["silent"]
    assert events[-1] == events[-1] | {"reason": "complete", "chunks": 1}
