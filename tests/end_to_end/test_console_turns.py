"""How the console shows turns: a script takes the server's place, a real Chromium shows them."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, WebSocketRoute, expect

from bench.browser import CHROMIUM, chromium
from tests.end_to_end.console import ConsolePage, console
from tests.end_to_end.platform import running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]

MICROPHONE = {"permissions": ["microphone"]}


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


async def test_turns_are_shown_as_they_grow(browser: Browser) -> None:
    async with (
        running() as platform,
        console(browser, platform.addresses.http, **MICROPHONE) as page,
    ):
        told = await script(page)
        await page.start()
        await page.is_in_state("Listening")
        tell = told[0].send
        tell(event("response.started", turn=1, chunk=0, kind="transcript"))
        tell(said(1, "stay lo", final=False))
        await expect(page.page.locator(".turn .provisional")).to_have_text("stay lo")
        words = [{"text": "Stay", "start_ms": 100, "end_ms": 400}]
        tell(said(1, "Stay low. <img src=x onerror=alert(1)>", final=True, words=words))
        tell(event("response.ended", turn=1, reason="complete"))
        tell(event("response.started", turn=2, chunk=0, kind="advice", emotion="urgent"))
        tell(said(2, "Get out.", final=True))
        tell(event("response.ended", turn=2, reason="complete"))
        assert await page.page.locator(".provisional").count() == 0
        assert await page.turns() == [
            ("Transcript", "Stay low. <img src=x onerror=alert(1)>"),
            ("Advice", "Get out."),
        ]
        stay = page.page.locator(".turn-text span", has_text=re.compile("^Stay$"))
        assert await stay.get_attribute("title") == "00:00.1 – 00:00.4"
        await expect(page.page.locator("#urgent")).to_have_text("Advice: Get out.")
        await expect(page.page.locator("#polite")).to_contain_text("Transcript: Stay low.")


async def test_an_open_turn_can_be_cancelled(browser: Browser) -> None:
    async with (
        running() as platform,
        console(browser, platform.addresses.http, **MICROPHONE) as page,
    ):
        told = await script(page)
        await page.start()
        await page.is_in_state("Listening")
        told[0].send(event("response.started", turn=3, chunk=0, kind="answer"))
        await page.page.get_by_label("Cancel turn 3").click()
        await expect(page.page.locator(".turn-remark")).to_have_text("cancelled")
        assert await page.page.get_by_label("Cancel turn 3").count() == 0


async def script(page: ConsolePage) -> list[WebSocketRoute]:
    """Take the server's place on the page's next WebSocket; it appears in the list returned.

    Opens the session, and cancels turns that are asked to be.
    """
    routes: list[WebSocketRoute] = []

    def serve(route: WebSocketRoute) -> None:
        routes.append(route)
        route.on_message(lambda message: answer(route, message))

    await page.page.route_web_socket(re.compile("/v1/stream"), serve)
    return routes


def answer(route: WebSocketRoute, message: str | bytes) -> None:
    if isinstance(message, bytes):
        return
    asked = json.loads(message)
    if asked["type"] == "session.open":
        route.send(event("session.opened", session_id="s-1", model="script", chunk_ms=400))
    if asked["type"] == "cancel":
        route.send(event("response.ended", turn=asked["turn"], reason="cancelled"))


def event(event_type: str, **fields: Any) -> str:
    return json.dumps({"type": event_type, "session_id": "s-1", "channel": 0, **fields})


def said(turn: int, text: str, **fields: Any) -> str:
    return event("response.text", turn=turn, sequence=0, text=text, **fields)
