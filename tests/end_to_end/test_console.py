"""The web console against the real platform with the null model, in a real Chromium."""

import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
import soundfile
from playwright.async_api import Browser, expect

from bench.browser import chromium
from bench.platform import running_platform
from tests.end_to_end.console import ConsolePage, console
from tests.end_to_end.places import SERVE
from tests.end_to_end.platform import running
from tests.end_to_end.wire import wire_to

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),  # one browser for all
]

# The null model responds to every fifth chunk; 2.2 s are five chunks and a half.
LENGTH_S = 2.2
TURNS = [("Notice", "chunk 4")]
MICROPHONE = {"permissions": ["microphone"]}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audio") / "call.wav"
    seconds = np.arange(int(16_000 * LENGTH_S)) / 16_000
    soundfile.write(path, 0.25 * np.sin(2 * np.pi * 440 * seconds), 16_000)
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(recording: Path) -> AsyncIterator[Browser]:
    async with chromium(microphone=recording) as started:
        yield started


async def test_a_file_is_played_and_answered_to_its_end(browser: Browser, recording: Path) -> None:
    async with running() as platform, console(browser, platform.addresses.http) as page:
        await page.choose(recording)
        await page.start()
        await page.is_in_state("Listening")
        assert await page.page.locator("#model").inner_text() == "null"
        await page.is_in_state("Ended")
        assert await page.turns() == TURNS
        # What the browser plays past the file's end is less than one chunk.
        assert await page.figure("Chunks") in ("6", "7")
        assert await page.figure("Dropped") == "0"
        assert await page.page.locator("#position").inner_text() == "00:02 / 00:02"
        assert "Session closed (complete)." in await page.page.locator("#turns").inner_text()
        assert await page.page.locator("#problem").is_hidden()


async def test_the_timeline_draws_what_was_decided(browser: Browser, recording: Path) -> None:
    async with running() as platform, console(browser, platform.addresses.http) as page:
        before = await colours(page)
        await page.choose(recording)
        await page.start()
        await page.is_in_state("Ended")
        notice = await page.page.evaluate(
            "getComputedStyle(document.body).getPropertyValue('--kind-notice')"
        )
        assert notice not in before
        assert notice in await colours(page)
        # Chunk 4 is the first that is answered; a chunk is 12 pixels wide, right of 76.
        await page.page.locator("#timeline").hover(position={"x": 76 + 4.5 * 12, "y": 125})
        await expect(page.page.locator("#tip")).to_contain_text(
            re.compile(r"chunk 4 · 00:01\.6 – 00:02\.0 · respond \(notice\) · \d")
        )


async def test_the_microphone_is_heard_until_stop(browser: Browser) -> None:
    async with (
        running() as platform,
        console(browser, platform.addresses.http, **MICROPHONE) as page,
    ):
        await page.start()
        await expect(page.page.locator(".turn")).to_have_count(1, timeout=15_000)
        await expect(page.page.locator("#level")).to_have_text(re.compile(r"RMS −1\d dBFS"))
        await page.stop()
        await page.is_in_state("Ended")
        assert (await page.turns())[:1] == TURNS
        assert await page.page.locator("#problem").is_hidden()


async def test_an_instruction_is_sent_while_it_listens(browser: Browser) -> None:
    async with (
        running() as platform,
        console(browser, platform.addresses.http, **MICROPHONE) as page,
    ):
        await page.start()
        await page.is_in_state("Listening")
        await page.page.fill("#instruction", "Count <b>dogs</b>")
        await page.page.press("#instruction", "Enter")
        session_id = await page.page.locator("#session-id").inner_text()
        await expect(page.page.locator("#turns")).to_contain_text("“Count <b>dogs</b>”")
        assert (await platform.ingestion.record(session_id)).spec.instruction == (
            "Count <b>dogs</b>"
        )
        await page.stop()
        await page.is_in_state("Ended")


async def test_abilities_and_instruction_open_the_session(browser: Browser) -> None:
    async with (
        running() as platform,
        console(browser, platform.addresses.http, **MICROPHONE) as page,
    ):
        await page.page.get_by_role("button", name="Warn me of danger").click()
        await page.page.get_by_text("Count", exact=True).click()
        await page.start()
        await page.is_in_state("Listening")
        session_id = await page.page.locator("#session-id").inner_text()
        spec = (await platform.ingestion.record(session_id)).spec
        assert (spec.instruction, set(spec.abilities)) == ("Warn me of danger", {"count"})


async def test_leaving_the_page_ends_the_session(browser: Browser) -> None:
    async with (
        running() as platform,
        console(browser, platform.addresses.http, **MICROPHONE) as page,
    ):
        await page.start()
        await page.is_in_state("Listening")
        await page.page.goto("about:blank")
        await platform.all_freed()


async def test_a_refused_microphone_is_explained(browser: Browser) -> None:
    async with running() as platform, console(browser, platform.addresses.http) as page:
        await page.start()
        await page.reports("The microphone was refused.")
        await page.is_in_state("Ended")
        assert await page.page.locator("#start").is_visible()


async def test_a_file_that_is_no_audio_is_explained(browser: Browser, tmp_path: Path) -> None:
    lie = tmp_path / "notes.wav"
    lie.write_text("This is text, whatever its name says.")
    async with running() as platform, console(browser, platform.addresses.http) as page:
        await page.choose(lie)
        await page.reports("cannot read “notes.wav” as audio")
        await page.start()
        await page.reports("No audio file is chosen.")


async def test_a_full_server_is_explained(browser: Browser, recording: Path) -> None:
    async with (
        running(max_sessions=1, retry_after_s=7) as platform,
        console(browser, platform.addresses.http) as page,
        platform.stream() as taken,
    ):
        await page.choose(recording)
        await taken.until("session.opened")
        await page.start()
        await page.reports("The server is busy")
        await page.reports("Start again in 7 s")
        await page.is_in_state("Ended")


@SERVE
async def test_a_server_that_dies_is_explained(browser: Browser) -> None:
    with running_platform("--model", "null") as platform:
        async with console(browser, platform.url, **MICROPHONE) as page:
            await page.start()
            await expect(page.page.locator(".turn")).to_have_count(1, timeout=15_000)
            os.kill(platform.pid, signal.SIGKILL)
            await page.is_in_state("Reconnecting")
            await page.reports("The connection to the server was lost.", within_s=40)
            await page.is_in_state("Ended")
            assert (await page.turns())[:1] == TURNS
            await page.start()
            await page.reports("The server does not answer.")


async def test_a_connection_that_breaks_is_made_again(browser: Browser) -> None:
    async with (
        running(resume_within_s=15) as platform,
        wire_to(platform.addresses.http) as wire,
        console(browser, f"http://{wire.address}", **MICROPHONE) as page,
    ):
        await page.start()
        await page.is_in_state("Listening")
        [session_id] = [live.session_id for live in platform.ingestion._held.all()]
        await expect(page.page.locator(".turn")).to_have_count(1, timeout=15_000)
        wire.cut()
        await page.is_in_state("Listening")
        await expect(page.page.get_by_text("The connection was lost, and is back.")).to_be_visible()
        await expect(page.page.locator(".turn")).to_have_count(3, timeout=30_000)
        await page.stop()
        await page.is_in_state("Ended")
        assert await platform.closed_for(session_id) == "complete"
        assert len(await page.turns()) == len(set(await page.turns()))


@pytest.mark.parametrize("width_px", [360, 768, 1280])
async def test_nothing_runs_out_of_the_page(browser: Browser, width_px: int) -> None:
    viewport = {"width": width_px, "height": 800}
    async with (
        running() as platform,
        console(browser, platform.addresses.http, viewport=viewport) as page,
    ):
        wide = await page.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width_px
        await expect(page.page.locator("#start")).to_be_in_viewport()


async def test_the_keyboard_is_enough(browser: Browser) -> None:
    async with (
        running() as platform,
        console(browser, platform.addresses.http, **MICROPHONE) as page,
    ):
        reached = set()
        for _ in range(30):
            await page.page.keyboard.press("Tab")
            reached.add(await page.page.evaluate("document.activeElement.id"))
        assert {"instruction", "start", "timeline", "turns"} <= reached
        await page.page.focus("#start")
        await page.page.keyboard.press("Enter")
        await page.is_in_state("Listening")


async def colours(page: ConsolePage) -> set[str]:
    """Return the colours of all opaque points of the timeline, as `#rrggbb`."""
    found = await page.page.evaluate(
        """() => {
            const { width, height } = document.getElementById("timeline");
            const copy = new OffscreenCanvas(width, height);
            const pen = copy.getContext("2d", { willReadFrequently: true });
            pen.drawImage(document.getElementById("timeline"), 0, 0);
            const { data } = pen.getImageData(0, 0, width, height);
            const hex = (byte) => byte.toString(16).padStart(2, "0");
            const found = new Set();
            for (let i = 0; i < data.length; i += 4) {
                const [red, green, blue, alpha] = data.subarray(i, i + 4);
                if (alpha === 255) found.add("#" + hex(red) + hex(green) + hex(blue));
            }
            return [...found];
        }"""
    )
    return set(found)
