import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.cli.command import LENGTH_S, SOUNDFLOW, TIMEOUT_S, TURN, events_of, run


@pytest.mark.parametrize(
    ("args", "bytes_per_second"),
    [((), 32_000), (("--encoding", "mulaw", "--rate", "8000", "--channels", "2"), 16_000)],
)
def test_raw_audio_is_read_from_standard_input(
    server: str, args: tuple[str, ...], bytes_per_second: int
) -> None:
    audio = bytes(int(bytes_per_second * LENGTH_S))
    listened = subprocess.run(
        [SOUNDFLOW, "listen", "-", "--server", server, *args],
        input=audio,
        capture_output=True,
        timeout=TIMEOUT_S,
    )

    assert (listened.returncode, listened.stderr) == (0, b"")
    assert listened.stdout.decode() == TURN


def test_a_wav_on_standard_input_is_not_heard_as_noise(server: str, call: Path) -> None:
    with call.open("rb") as file:
        listened = run("listen", "-", "--server", server, "--json", stdin=file)

    assert listened.returncode == 1
    assert "WAV" in listened.stderr
    assert "decision" not in {
        event["type"] for event in events_of(listened.stdout) if event.get("chunk", 0) > 0
    }


def test_empty_standard_input_is_an_error(server: str) -> None:
    listened = run("listen", "-", "--server", server, stdin=subprocess.DEVNULL)

    assert (listened.returncode, listened.stdout) == (1, "")
    assert listened.stderr == "soundflow: standard input held no audio\n"
