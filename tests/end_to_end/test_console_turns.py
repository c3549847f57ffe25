"""How the console shows turns: a script takes the server's place, a real Chromium shows them."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, WebSocketRoute, expect

from bench.browser import chromium
from tests.end_to_end.console import ConsolePage, console
from tests.end_to_end.platform import running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),  # one browser for all
]

MICROPHONE = {"permissions": ["microphone"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
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
            ("Advice", "Get out."),  # told later, but it began earlier
            ("Transcript", "Stay low. <img src=x onerror=alert(1)>"),
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


async def test_a_sessions_text_can_be_copied(browser: Browser) -> None:
    allowed = {"permissions": ["microphone", "clipboard-read", "clipboard-write"]}
    async with (
        running() as platform,
        console(browser, platform.addresses.http, **allowed) as page,
    ):
        told = await script(page)
        await page.start()
        await page.is_in_state("Listening")
        assert await page.page.locator("#copy").is_disabled()
        told[0].send(event("response.started", turn=1, chunk=2, kind="advice"))
        told[0].send(said(1, "Get out.", final=True))
        await page.page.click("#copy")
        await expect(page.page.locator("#copy")).to_have_text("Copied")
        copied = await page.page.evaluate("navigator.clipboard.readText()")
        assert copied == "00:00.8  Advice: Get out."


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
