"""The unified model, from a folder as it is published, through the running platform."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from soundflow.audio import SAMPLE_RATE_HZ
from soundflow.checkpoint import open_checkpoint
from soundflow.models import load_model
from soundflow.unified.tokens import ControlTokens, TextTokens
from soundflow.unified.transformer import LanguageModel
from tests import golden
from tests.end_to_end.cli.command import TIMEOUT_S, events_of, next_line, run, start
from tests.end_to_end.platform import Event, running
from tests.golden.greedy import greedy_turns
from tests.soundflow.checkpoint.folders import GOLDEN_INSTRUCTION

pytestmark = [
    pytest.mark.one_process("its model is a folder of this run"),
    pytest.mark.usefixtures("one_torch_thread"),
]

CHUNKS = len(golden.features_prefix())
PADDED_SAMPLES = 4320  # of the clip's last chunk; the platform pads it too


@dataclass(frozen=True)
class Published:
    """What the published code would do, on the features that it computed itself."""

    model: LanguageModel
    control: ControlTokens
    text_tokens: TextTokens

    def turns(self, decided: Sequence[int]) -> list[tuple[str, str]]:
        """Return decision and text for each drained queue. decided: the newest chunk of each."""
        frames = torch.from_numpy(golden.features_prefix())
        queues = [frames[start + 1 : end + 1] for start, end in pairwise([-1, *decided])]
        system_ids = golden.prefix_ids()[4:-1]
        said = greedy_turns(self.model, self.control, system_ids, [list(queue) for queue in queues])
        return [
            ("respond", self.text_tokens.decode(turn))
            if turn[0] == self.control.text_begin
            else ("silent", "")
            for turn in said
        ]


@pytest.fixture(scope="module")
def published(golden_folder: Path) -> Published:
    checkpoint = open_checkpoint(golden_folder)
    model = checkpoint.make_decoder().requires_grad_(False)
    return Published(model, checkpoint.control, checkpoint.read_tokenizer())


def told(events: Sequence[Event]) -> dict[int, tuple[str, str]]:
    """Return by newest chunk what was decided and said."""
    chunk_of = {one["turn"]: one["chunk"] for one in events if one["type"] == "response.started"}
    texts = dict.fromkeys(chunk_of.values(), "")
    for one in events:
        if one["type"] == "response.text":
            assert one["final"]
            texts[chunk_of[one["turn"]]] += one["text"]
    decisions = {one["chunk"]: one["decision"] for one in events if one["type"] == "decision"}
    return {chunk: (decision, texts.get(chunk, "")) for chunk, decision in decisions.items()}


async def test_a_live_session_says_what_the_published_code_says(
    golden_folder: Path, published: Published
) -> None:
    model = load_model(str(golden_folder))
    pcm = (golden.pcm() * 32768).astype("<i2").reshape(CHUNKS, -1)
    async with (
        running(model, quiet_after_ms=10**6) as served,
        served.stream(instruction=GOLDEN_INSTRUCTION) as stream,
    ):
        opened = await stream.until("session.opened")
        for index, samples in enumerate(pcm[:-1]):  # the end of audio hands over the last one
            await stream.send(samples.tobytes())
            decision = await stream.until("decision", chunk=index)
            if decision["decision"] == "respond":
                await stream.until("response.ended", reason="complete")
        events = stream.events.copy()
        await stream.send({"type": "audio.end"})
        await stream.rest()
    assert opened["model"] == "golden"
    expected = published.turns(range(CHUNKS - 1))
    assert sum(action == "respond" for action, _ in expected) > 5
    assert list(told(events).values()) == expected


def test_the_command_does_a_file_with_a_model_in_a_folder(
    golden_folder: Path, tmp_path: Path, published: Published
) -> None:
    """It hears faster than it speaks, so queues are long; the events say how long each was."""
    file = tmp_path / "golden.wav"
    clip = (golden.pcm() * 32768).astype(np.int16)[:-PADDED_SAMPLES]
    soundfile.write(file, clip, SAMPLE_RATE_HZ)
    done = run(
        *("task", str(file), "--model", str(golden_folder), "--json"),
        # A transcript is never interrupted.
        *("--instruction", GOLDEN_INSTRUCTION, "--ability", "transcribe"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    events = events_of(done.stdout)
    heard = told(events)
    assert max(heard) == CHUNKS - 1
    assert list(heard.values()) == published.turns(sorted(heard))
    assert events[-1]["reason"] == "complete"


def test_a_folder_that_is_damaged_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "model_config.yaml").write_text("n_layer: 2\n")
    file = tmp_path / "quiet.wav"
    soundfile.write(file, np.zeros(SAMPLE_RATE_HZ, np.float32), SAMPLE_RATE_HZ)
    done = run("task", str(file), "--model", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "qwen25OmniConfig/config.json is missing" in done.stderr


def test_a_model_in_a_folder_is_served(golden_folder: Path) -> None:
    ports = ("--http-port", "0", "--grpc-port", "0")
    with start("serve", "--model", str(golden_folder), *ports) as serving:
        try:
            assert next_line(serving).startswith("SoundFlow listens. Console: http://127.0.0.1:")
        finally:
            serving.send_signal(signal.SIGINT)
        serving.communicate(timeout=TIMEOUT_S)
    assert serving.returncode == 0
