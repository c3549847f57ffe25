"""Recordings as tasks, over HTTP and gRPC."""

from services.core.generated.soundflow.v1 import interaction_service_pb2 as api
from tests.end_to_end.platform import Running, told
from tests.end_to_end.requests import form, server_sent, wav


async def test_a_task_answers_with_its_turns_and_events(served: Running) -> None:
    url = f"{served.addresses.http}/v1/tasks"
    async with served.http.post(url, data=form(wav(seconds=3), instruction="count")) as response:
        answer = await response.json()
    assert response.status == 200
    assert answer["duration_ms"] == 3000
    assert answer["turns"] == [
        {"turn": 1, "channel": 0, "kind": "notice", "text": "chunk 4", "start_ms": 1600}
    ]
    decided = [event["chunk"] for event in answer["events"] if event["type"] == "decision"]
    assert decided == list(range(8))  # one for each chunk: a task goes in lock-step
    assert answer["events"][-1]["reason"] == "complete"


async def test_a_task_streams_events_and_progress(served: Running) -> None:
    url = f"{served.addresses.http}/v1/tasks"
    accept = {"Accept": "text/event-stream"}
    async with served.http.post(url, data=form(wav(seconds=1)), headers=accept) as response:
        events = server_sent(await response.text())
    assert response.content_type == "text/event-stream"
    progress = [data for name, data in events if name == "progress"]
    assert progress == [
        {"done_ms": 400, "total_ms": 1000},
        {"done_ms": 800, "total_ms": 1000},
        {"done_ms": 1000, "total_ms": 1000},
    ]
    assert events[0][0] == "session.opened"
    assert events[-1][0] == "session.closed"


async def test_a_task_over_grpc_tells_the_same(served: Running) -> None:
    recording = wav(seconds=3)
    requests = [
        api.RunTaskRequest(open=api.OpenTask()),
        *(api.RunTaskRequest(data=recording[i : i + 10_000]) for i in range(0, 100_000, 10_000)),
    ]
    responses = await told(served.grpc.RunTask(iter(requests)))
    events = [each.event for each in responses if each.HasField("event")]
    texts = [each.response_text.text for each in events if each.HasField("response_text")]
    assert texts == ["chunk 4"]
    assert [each.progress for each in responses if each.HasField("progress")][-1] == (
        api.TaskProgress(done_ms=3000, total_ms=3000)
    )
    assert events[-1].session_closed.reason == "complete"


async def test_a_task_can_hear_each_channel_alone(served: Running) -> None:
    url = f"{served.addresses.http}/v1/tasks"
    data = form(wav(seconds=1, channels=2), layout="split")
    async with served.http.post(url, data=data) as response:
        answer = await response.json()
    closed = [event for event in answer["events"] if event["type"] == "session.closed"]
    assert sorted((event["channel"], event["chunks"]) for event in closed) == [(0, 3), (1, 3)]
