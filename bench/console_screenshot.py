"""Draws docs/console.png: the console in a real browser, after a call has been played through it.

Plays the demo call through a platform of its own, unless told of another call or platform.
"""

import argparse
import asyncio
from contextlib import ExitStack
from pathlib import Path

import soundfile
from playwright.async_api import Page, expect

from bench.browser import chromium
from bench.demo import INSTRUCTION
from bench.make_demo import CALL
from bench.platform import running_platform

PICTURE = Path(__file__).parents[1] / "docs" / "console.png"
MAX_PICTURE_BYTES = 400_000

# Some time for opening the page and for what is left to say at the end.
SLACK_S = 60


async def draw(url: str, audio: Path, instruction: str, *, scheme: str, picture: Path) -> None:
    """Stream `audio` through the console at `url` at real speed, then save what it shows.

    scheme: `light` or `dark`.
    """
    async with chromium() as browser:
        page = await browser.new_page(
            viewport={"width": 1440, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        await page.goto(url)
        await play(page, audio, instruction)
        picture.parent.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=picture)


async def play(page: Page, audio: Path, instruction: str) -> None:
    """Act as a person does, and wait until the session has ended. AssertionError if it never does.

    RuntimeError with the console's own words when something goes wrong.
    """
    await page.set_input_files("#file", audio)
    await page.fill("#instruction", instruction)
    await page.get_by_label("Zoom out").click()  # so that the whole call is in view
    await page.click("#start")
    limit_s = soundfile.info(audio).duration + SLACK_S
    await expect(page.locator("#state")).to_have_text("Ended", timeout=limit_s * 1000)
    problem = page.locator("#problem")
    if await problem.is_visible():
        raise RuntimeError(await problem.inner_text())


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("audio", nargs="?", type=Path, default=CALL)
    parser.add_argument("--url", help="of a platform that runs; else one is started")
    parser.add_argument("--instruction", default=INSTRUCTION)
    parser.add_argument("--scheme", choices=["light", "dark"], default="light")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()
    with ExitStack() as stack:
        url = options.url or stack.enter_context(running_platform()).url
        asyncio.run(
            draw(
                url,
                options.audio,
                options.instruction,
                scheme=options.scheme,
                picture=options.picture,
            )
        )
    size_bytes = options.picture.stat().st_size
    if size_bytes > MAX_PICTURE_BYTES:
        raise SystemExit(f"{options.picture} has {size_bytes} bytes, over {MAX_PICTURE_BYTES}")
    print(f"{options.picture} ({size_bytes / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
