"""The console in a real browser, as a person uses it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, expect

# Chromium itself writes this when a server refuses or is gone; a page cannot prevent it.
UNREACHABLE = re.compile(r"Failed to load resource|WebSocket connection to .* failed")


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """One tab. complaints: what the browser's own console showed, except refused connections."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    async def choose(self, path: Path) -> None:
        """Pick an audio file."""
        await self.page.set_input_files("#file", path)

    async def start(self) -> None:
        """Press Start."""
        await self.page.click("#start")

    async def stop(self) -> None:
        """Press Stop."""
        await self.page.click("#stop")

    async def is_in_state(self, words: str, *, within_s: float = 15) -> None:
        """Wait until the state at the top reads so."""
        await expect(self.page.locator("#state")).to_have_text(words, timeout=within_s * 1000)

    async def reports(self, words: str | re.Pattern[str], *, within_s: float = 15) -> None:
        """Wait until a problem is shown with these words."""
        problem = self.page.locator("#problem")
        await expect(problem).to_contain_text(words, timeout=within_s * 1000)

    async def figure(self, label: str) -> str:
        """Return a figure of the strip by its label."""
        stat = self.page.locator(".stat", has=self.page.get_by_text(label, exact=True))
        return await stat.locator("dd").inner_text()

    async def turns(self) -> list[tuple[str, str]]:
        """Return kind and text of each card."""
        cards = await self.page.locator(".turn").all()
        return [
            (
                await card.locator(".turn-kind").inner_text(),
                await card.locator(".turn-text").inner_text(),
            )
            for card in cards
        ]


@asynccontextmanager
async def console(browser: Browser, url: str, **context: Any) -> AsyncIterator[ConsolePage]:
    """Open the console in a tab of its own, and see that it made no complaint in the end."""
    tab = await browser.new_context(**context)
    opened = ConsolePage(await tab.new_page())

    def complain(text: str) -> None:
        if not UNREACHABLE.search(text):
            opened.complaints.append(text)

    opened.page.on("console", lambda message: complain(message.text))
    opened.page.on("pageerror", lambda error: complain(str(error)))
    try:
        await opened.page.goto(url)
        yield opened
        assert opened.complaints == []
    finally:
        await tab.close()
