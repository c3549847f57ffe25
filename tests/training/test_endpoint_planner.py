import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.training.test_scenario import BAG
from training.curation.endpoint_planner import EndpointConfig, EndpointPlanner
from training.curation.scenario import GrammarPlanner, Scenario

KEY = "sk-very-secret"
EVENTS = [
    {"sound": "thunder", "role": "foreground", "duration_s": 4},
    {"sound": "rain", "role": "ambient", "duration_s": 20, "after": [0]},
    {"sound": "dog barking", "role": "foreground", "duration_s": 0.6, "after": [0]},
]
PLAN = {"title": "A storm", "events": EVENTS}


@dataclass
class Endpoint:
    """A server of the chat-completions wire format that says what is next in `answers`."""

    answers: list[Any] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    base_url: str = ""

    async def completions(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        answer = self.answers.pop(0)
        if isinstance(answer, int):
            return web.json_response({"error": {"message": f"{KEY} is no good"}}, status=answer)
        text = answer if isinstance(answer, str) else json.dumps(answer)
        message = {"role": "assistant", "content": text}
        return web.json_response(
            {
                "id": "c1",
                "object": "chat.completion",
                "created": 1,
                "model": "planner",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
            }
        )


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", endpoint.completions)
    async with TestServer(app) as server:
        endpoint.base_url = str(server.make_url("/v1"))
        yield endpoint


def planner(endpoint: Endpoint) -> EndpointPlanner:
    config = EndpointConfig(
        endpoint.base_url, "planner", KEY, timeout_s=5, input_price=2.0, output_price=10.0
    )
    return EndpointPlanner(config)


async def planned(made: EndpointPlanner) -> Scenario:
    return await asyncio.to_thread(made.plan, BAG, 3)


async def test_a_valid_plan_is_taken_and_its_cost_counted(endpoint: Endpoint) -> None:
    endpoint.answers = [PLAN]
    made = planner(endpoint)
    assert await planned(made) == Scenario.model_validate(PLAN)
    spent = made.spent
    assert (spent.requests, spent.invalid, spent.unavailable, spent.fallbacks) == (1, 0, 0, 0)
    assert (spent.input_tokens, spent.output_tokens) == (1000, 100)
    assert spent.cost == pytest.approx(0.003)
    assert spent.seconds > 0
    [body] = endpoint.bodies
    assert body["response_format"] == {"type": "json_object"}
    assert "dog barking" in body["messages"][1]["content"]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("I would rather not.", "Invalid JSON"),
        ("", "Invalid JSON"),
        ({"title": "x", "events": EVENTS[:2]}, "at least 3"),
        (PLAN | {"events": [*EVENTS, EVENTS[0] | {"sound": "a dragon"}]}, "a dragon"),
        (PLAN | {"events": [*EVENTS, EVENTS[0] | {"role": "star"}]}, "role"),
        (PLAN | {"events": [*EVENTS, EVENTS[0] | {"after": [9]}]}, "not there"),
    ],
)
async def test_a_bad_plan_is_told_what_is_wrong_and_asked_for_again(
    endpoint: Endpoint, bad: object, why: str
) -> None:
    endpoint.answers = [bad, PLAN]
    made = planner(endpoint)
    assert (await planned(made)).title == "A storm"
    assert (made.spent.requests, made.spent.invalid, made.spent.fallbacks) == (2, 1, 0)
    assert why in endpoint.bodies[1]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("answers", "unavailable", "invalid"),
    [(["no", "no"], 0, 2), ([500, 503], 2, 0), ([401, "{}"], 1, 1)],
)
async def test_the_rules_plan_where_the_endpoint_does_not(
    endpoint: Endpoint,
    answers: list[object],
    unavailable: int,
    invalid: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    endpoint.answers = answers
    made = planner(endpoint)
    assert await planned(made) == GrammarPlanner().plan(BAG, 3)
    spent = made.spent
    assert (spent.requests, spent.fallbacks) == (2, 1)
    assert (spent.unavailable, spent.invalid) == (unavailable, invalid)
    assert KEY not in caplog.text and KEY not in repr(made._config)


async def test_nobody_at_the_address_is_the_same(endpoint: Endpoint) -> None:
    made = EndpointPlanner(EndpointConfig("http://127.0.0.1:9/v1", "planner", timeout_s=2))
    assert await planned(made) == GrammarPlanner().plan(BAG, 3)
    assert (made.spent.unavailable, made.spent.fallbacks) == (2, 1)


async def test_refinement_has_a_query_for_each_event(endpoint: Endpoint) -> None:
    scenario = Scenario.model_validate(PLAN)
    queries = [{"text": f"query {n}", "caption": "A sound."} for n in range(3)]
    endpoint.answers = [{"queries": queries[:2]}, {"queries": queries}, "no", "no"]
    made = planner(endpoint)
    refined = await asyncio.to_thread(made.refine, scenario)
    assert [query.text for query in refined] == ["query 0", "query 1", "query 2"]
    assert "2 queries for 3 events" in endpoint.bodies[1]["messages"][0]["content"]
    fallback = await asyncio.to_thread(made.refine, scenario)
    assert list(fallback) == list(GrammarPlanner().refine(scenario))
    assert (made.spent.invalid, made.spent.fallbacks) == (3, 1)
