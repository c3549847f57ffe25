"""Live transcription against the same Whisper given each prompt whole: word errors and delays.

`make eval-asr` runs it on the test prompts; `python -m bench.eval_asr --split dev` is for tuning.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.asr_data import Prompt, load_prompts
from bench.asr_recording import CONDITIONS, Recording, as_float, join
from bench.asr_stream import CascadeTranscriber, Live, Transcriber
from soundflow.audio import SAMPLE_RATE_HZ, Pcm
from soundflow.cascade.encoder import CascadeEncoder
from soundflow.cascade.utterance import DEFAULTS
from soundflow.cascade.whisper import WhisperRuntime
from soundflow.cascade.whisper_model import (
    MELS,
    SILENT_LOG_MEL,
    TimedWord,
    WhisperModel,
    WhisperSettings,
    Window,
)
from soundflow.checkpoint import locate
from soundflow.frontend import HOP_SAMPLES, Array, Carry, whisper_log_mel, whisper_mel
from training.evaluation.words import Spoken, comparable, delays_ms, word_errors

# What is promised (and what the exit status says).
MOST_RATIO = 1.5
MOST_FIRST_MS = 900.0
MOST_FINAL_MS = 3_000.0

# Whisper as it was trained: one window of 30 s, the rest of it digital silence.
WHOLE = WhisperSettings(silence_frames=0, tail_steps=0, longest_ms=30_000)
WHOLE_FRAMES = 3_000
# A word is heard down to this far below the prompt's loudest band.
HEARD_BELS = 3.0


@dataclass(frozen=True, slots=True)
class Result:
    """One condition's figures. Error rates are per reference word; delays are from a word's end."""

    condition: str
    words: int
    offline: float
    live: float
    first_ms: Sequence[float]
    final_ms: Sequence[float]
    passes_ms: Sequence[float]
    real_time_factor: float

    @property
    def ratio(self) -> float:
        """Live errors over offline errors."""
        return self.live / self.offline if self.offline else np.inf

    @property
    def holds(self) -> bool:
        """Whether what is promised is kept."""
        return bool(
            self.ratio <= MOST_RATIO
            and np.median(self.first_ms) <= MOST_FIRST_MS
            and np.median(self.final_ms) <= MOST_FINAL_MS
        )


@dataclass(frozen=True, slots=True)
class Judge:
    """Whisper as a yardstick: `whole` hears whole prompts, `aligner` says when words were said."""

    whole: WhisperModel
    aligner: WhisperModel

    def judge(self, condition: str, recording: Recording, live: Live) -> Result:
        """Compare a live transcription with the same Whisper's of each prompt."""
        each = range(len(recording.prompts))
        spoken = [word for i in each for word in self.said(recording, i)]
        reference = [word.text for word in spoken]
        offline = sum(self.errors(recording, i) for i in each)
        return Result(
            condition=condition,
            words=len(reference),
            offline=offline / len(reference),
            live=word_errors(reference, comparable(live.text)) / len(reference),
            first_ms=delays_ms(spoken, live.screens),
            final_ms=delays_ms(spoken, live.settled),
            passes_ms=live.passes_ms,
            real_time_factor=live.computed_s * SAMPLE_RATE_HZ / len(recording.pcm),
        )

    def said(self, recording: Recording, index: int) -> list[Spoken]:
        """Return when each word of a prompt's text was said, by forced alignment.

        The alignment gives a pause to the word before it: a word ends where it is last heard.
        """
        prompt = recording.prompts[index]
        offset_ms = recording.starts[index] * 1000 / SAMPLE_RATE_HZ
        log_mel = frames(as_float(prompt))
        loud_ms = 10 * np.flatnonzero(log_mel.max(axis=1) > log_mel.max() - HEARD_BELS)
        return [
            Spoken(text, offset_ms + word.start_ms, offset_ms + last_heard_ms(word, loud_ms))
            for word in self.aligner.align(log_mel, f" {prompt.text}")
            for text in comparable(word.text)
        ]

    def errors(self, recording: Recording, index: int) -> int:
        """Count the word errors of Whisper given a prompt whole, decoded as a last pass is."""
        log_mel = frames(recording.part(index))
        silence = ((0, WHOLE_FRAMES - len(log_mel)), (0, 0))
        filled = np.pad(log_mel, silence, constant_values=SILENT_LOG_MEL)
        [transcript] = self.whole.transcribe([Window(filled, beam=DEFAULTS.beam)])
        return word_errors(comparable(recording.prompts[index].text), comparable(transcript.text))


def last_heard_ms(word: TimedWord, loud_ms: NDArray[np.int64]) -> int:
    """Return the end of the last loud frame of a word; the word's end when it has none."""
    inside = loud_ms[(loud_ms >= word.start_ms) & (loud_ms < word.end_ms)]
    return int(inside[-1]) + 10 if inside.size else word.end_ms


def frames(pcm: Pcm) -> Array:
    """Return the `(T, 80)` log-mel frames of a recording."""
    whole_hops = np.pad(pcm, (0, -len(pcm) % HOP_SAMPLES))
    log_mel, _ = whisper_log_mel(whole_hops, Carry.empty(), whisper_mel(MELS))
    return log_mel


def run(prompts: Sequence[Prompt], transcriber: Transcriber) -> list[Result]:
    """Evaluate every condition."""
    english = locate("whisper-tiny.en")
    judge = Judge(whole=WhisperModel(english, WHOLE), aligner=WhisperModel(english))
    clean = join(prompts)
    results = []
    for condition, spoil in CONDITIONS.items():
        recording = Recording(prompts, clean.starts, spoil(clean.pcm))
        results.append(judge.judge(condition, recording, transcriber.transcribe(recording.pcm)))
    return results


def table(results: Sequence[Result]) -> Table:
    """Set the results out for reading."""
    headings = [
        "condition",
        "words",
        "errors, whole",
        "errors, live",
        "ratio",
        "first right, ms",
        "final, ms",
        "a pass, ms",
        "RTF",
    ]
    caption = "milliseconds: median / 90 %; the first two from the end of a word"
    shown = Table(*headings, title="Live transcription", caption=caption)
    for each in results:
        shown.add_row(
            each.condition,
            str(each.words),
            f"{each.offline:.1%}",
            f"{each.live:.1%}",
            f"{each.ratio:.2f}",
            spread(each.first_ms),
            spread(each.final_ms),
            spread(each.passes_ms),
            f"{each.real_time_factor:.2f}",
        )
    return shown


def spread(values: Sequence[float]) -> str:
    """Write the median and the 90th percentile."""
    return f"{np.median(values):.0f} / {np.quantile(values, 0.9):.0f}"


def main() -> int:
    """Print the table; 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", default="test", choices=["dev", "test"])
    parser.add_argument("--prompts", type=int, default=40)
    chosen = parser.parse_args()
    prompts = load_prompts(chosen.split)[: chosen.prompts]
    runtime = WhisperRuntime.pretrained()
    runtime.start()
    results = run(prompts, CascadeTranscriber(CascadeEncoder.pretrained(), runtime))
    runtime.stop()
    kept = all(result.holds for result in results)
    console = Console(width=120)
    console.print(table(results))
    console.print(
        f"promised: ratio at most {MOST_RATIO}, medians at most {MOST_FIRST_MS:.0f} ms to first "
        f"right and {MOST_FINAL_MS:.0f} ms to final: {'kept' if kept else 'NOT kept'}"
    )
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
