"""A real browser for the console: Debian's Chromium, headless, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

# Nothing but the page itself may reach for the network. Root has no sandbox.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def chromium(*, microphone: Path | None = None) -> AsyncIterator[Browser]:
    """Start a browser with a fresh profile; its microphone plays this WAV over and over.

    RuntimeError where there is no Chromium.
    """
    if CHROMIUM is None:
        raise RuntimeError("there is no Chromium; install it: apt-get install chromium")
    fake = ["--use-fake-device-for-media-stream"]
    if microphone:
        fake.append(f"--use-file-for-fake-audio-capture={microphone}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*QUIET, *fake], chromium_sandbox=False
        )
        try:
            yield browser
        finally:
            await browser.close()
