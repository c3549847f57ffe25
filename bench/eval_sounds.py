"""Recall and false alarms of the proactive policy, and the counting of barks, on recorded sounds.

`python -m bench.eval_sounds` reports the `test` recordings of `sounds.csv`; `--split dev` those on
which the thresholds were chosen. Everything goes through the real encoder and trackers.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import sounds_data
from bench.alarm_signals import electronic_siren, smoke_alarm
from bench.sound_trials import CONDITIONS, NEAR, Condition, at_level, bed, trials_of
from bench.sounds_data import SPOKEN, Clip, load
from soundflow.audio import CHUNK_MS, CHUNK_SAMPLES, SAMPLE_RATE_HZ, Chunk, Pcm
from soundflow.cascade.counting import CountTracker
from soundflow.cascade.encoder import CascadeEncoder
from soundflow.cascade.sounds import AlarmTracker
from soundflow.cascade.vocabulary import resolve_sound
from soundflow.features import Features
from training.evaluation.interval import poisson_upper, wilson

POSITIONS = 6
QUIET = ("near", "far")
LOOK_ALIKE_POSITIONS = 2
SIGNAL_SEEDS = {"dev": range(100, 106), "test": range(6)}
PROMPT_PAUSE_S = 0.5
SPEECH_SNR_DB = 15.0


@dataclass(frozen=True, slots=True)
class Source:
    """One recording or synthetic signal that the policy's `row` must answer."""

    heading: str
    row: str
    pcm: Pcm


@dataclass(slots=True)
class Tally:
    """What became of the trials of one heading.

    right, trials: per condition. delays_ms: from the sound's onset to the right answer.
    other: answers by another row.
    """

    sources: int = 0
    right: Counter[str] = field(default_factory=Counter)
    trials: Counter[str] = field(default_factory=Counter)
    delays_ms: list[float] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)


def main() -> None:
    """Fetch, play, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=["dev", "test"], default="test")
    split: str = parser.parse_args().split
    sounds_data.fetch()
    clips = [clip for clip in sounds_data.clips() if clip.split == split]
    encoder = CascadeEncoder.pretrained()
    console = Console(width=130)
    console.print(recall_table(encoder, clips, split))
    console.print(look_alike_table(encoder, clips))
    console.print(false_alarm_table(encoder, clips))
    console.print(counting_table(encoder))


def recall_table(encoder: CascadeEncoder, clips: Sequence[Clip], split: str) -> Table:
    """Play what must be answered under every condition, at several positions."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for seed, source in enumerate(_sources(clips, split)):
        tally = tallies[source.heading]
        tally.sources += 1
        for condition in CONDITIONS:
            _play(encoder, source, condition, seed, tally)
    names = [condition.name for condition in CONDITIONS]
    table = Table(
        *("sound", "recordings", *names, "in quiet", "95 %", "all", "delay", "other advice"),
        title=f"To be answered ({split}; {POSITIONS} positions per recording and condition)",
        caption=(
            "In quiet: near and far. Positions of one recording are no independent trials: few "
            "recordings say little, whatever the interval. Of coughs, cries and real smoke alarms "
            "the packages hold no recording at all."
        ),
    )
    for heading, tally in tallies.items():
        quiet = [sum(counts[name] for name in QUIET) for counts in (tally.right, tally.trials)]
        delay = f"{median(tally.delays_ms) / 1000:.1f} s" if tally.delays_ms else ""
        table.add_row(
            heading,
            str(tally.sources),
            *(f"{tally.right[name]}/{tally.trials[name]}" for name in names),
            f"{quiet[0] / quiet[1]:.2f}",
            _interval(*quiet),
            f"{tally.right.total() / tally.trials.total():.2f}",
            delay,
            _listed(tally.other),
        )
    return table


def look_alike_table(encoder: CascadeEncoder, clips: Sequence[Clip]) -> Table:
    """Play ordinary sounds and look-alikes, each alone and near."""
    played: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    blamed: dict[str, Counter[str]] = defaultdict(Counter)
    for seed, clip in enumerate(clips):
        if clip.row or clip.group in ("music", "ambience"):
            continue
        for trial in trials_of(clip.load(), NEAR, positions=LOOK_ALIKE_POSITIONS, seed=seed):
            rows = [row for row, _ in _answers(encoder, trial.pcm)]
            played[clip.group] += 1
            answered[clip.group] += bool(rows)
            blamed[clip.group].update(f"{clip.label} ({row})" for row in rows)
    table = Table(
        *("look-alikes", "answered", "share", "95 %", "which"),
        title=f"To be met with silence ({LOOK_ALIKE_POSITIONS} positions per recording)",
    )
    for group, trials in sorted(played.items()):
        count = answered[group]
        share = f"{count / trials:.2f}"
        cells = (f"{count}/{trials}", share, _interval(count, trials), _listed(blamed[group]))
        table.add_row(group, *cells)
    return table


def false_alarm_table(encoder: CascadeEncoder, clips: Sequence[Clip]) -> Table:
    """Play hours of what must not be answered."""
    english = _joined(load(path) for path in sounds_data.prompts("en"))
    others = [language for language in SPOKEN if language != "en"]
    music = [at_level(clip.load(), NEAR.level_db) for clip in clips if clip.group == "music"]
    materials = {
        "speech: English telephone prompts": [english],
        "speech: the prompts in " + ", ".join(others): [
            _joined(load(path) for path in sounds_data.prompts(language)) for language in others
        ],
        f"English speech {SPEECH_SNR_DB:.0f} dB above ambience": [_over_ambience(english)],
        "ambience: office, city, forest, crowd": [bed(number) for number in range(4)],
    }
    table = Table(
        *("material", "hours", "alarms", "per hour", "95 % below", "rows"), title="At length"
    )
    all_hours, all_rows = 0.0, Counter[str]()
    for name, pieces in materials.items():
        hours, rows = _hours(pieces), Counter(_rows(encoder, pieces))
        table.add_row(name, *_rate(rows, hours))
        all_hours, all_rows = all_hours + hours, all_rows + rows
    table.add_row("speech and ambience together", *_rate(all_rows, all_hours), end_section=True)
    table.add_row("music", *_rate(Counter(_rows(encoder, music)), _hours(music)))
    return table


def counting_table(encoder: CascadeEncoder) -> Table:
    """Count single recorded barks, repeated, and recordings that hold several."""
    table = Table("dog barks", "true", "counted", title="Counting (six random spacings each)")
    single = load(sounds_data.folder("fluid-soundfont-gs") / "Dog Bark.wav")
    for true in range(1, 6):
        series = (_series(single, true, seed) for seed in range(6))
        counts = [_count(encoder, "dog barks", pcm) for pcm in series]
        table.add_row("one recorded bark, repeated", str(true), " ".join(map(str, counts)))
    recordings = sounds_data.folder("gcompris-qt-data")
    for name, true in COUNTED_BY_EAR.items():
        trials = trials_of(load(recordings / name), NEAR, positions=6, seed=true)
        counts = [_count(encoder, "dog barks", trial.pcm) for trial in trials]
        table.add_row(name, str(true), " ".join(map(str, counts)))
    return table


# Barks seen in the waveform of the recordings of the test split.
COUNTED_BY_EAR = {"explore_farm_animals/dog.ogg": 2, "memory-sound/LRBark_3_LA_cut.ogg": 4}


def _sources(clips: Sequence[Clip], split: str) -> Iterator[Source]:
    for clip in clips:
        if clip.row:
            yield Source(clip.group, clip.row, clip.load())
    for seed in SIGNAL_SEEDS[split]:
        yield Source("smoke alarm (made after ISO 8201)", "smoke alarm", smoke_alarm(seed))
        yield Source("siren (made: wail, yelp)", "siren", electronic_siren(seed))


def _play(
    encoder: CascadeEncoder, source: Source, condition: Condition, seed: int, tally: Tally
) -> None:
    for trial in trials_of(source.pcm, condition, positions=POSITIONS, seed=seed):
        answers = _answers(encoder, trial.pcm)
        right_ms = [at_ms for row, at_ms in answers if row == source.row]
        tally.trials[condition.name] += 1
        tally.right[condition.name] += bool(right_ms)
        tally.delays_ms += [at_ms - trial.onset_ms for at_ms in right_ms[:1]]
        tally.other.update(row for row, _ in answers if row != source.row)


def _rows(encoder: CascadeEncoder, pieces: Sequence[Pcm]) -> Iterator[str]:
    for piece in pieces:
        yield from (row for row, _ in _answers(encoder, piece))


def _answers(encoder: CascadeEncoder, pcm: Pcm) -> list[tuple[str, int]]:
    """Return which rows spoke, and when, in milliseconds."""
    tracker = AlarmTracker()
    answers = []
    for features in _encoded(encoder, pcm):
        alarm = tracker.hear(features.index, _scores(features))
        if alarm:
            answers.append((alarm.row.name, (features.index + 1) * CHUNK_MS))
    return answers


def _count(encoder: CascadeEncoder, what: str, pcm: Pcm) -> int:
    group = resolve_sound(what)
    assert group is not None
    tracker = CountTracker(group)
    return sum(
        tracker.hear(features.index, _scores(features), _float32(features, "log_mel"))
        for features in _encoded(encoder, pcm)
    )


def _encoded(encoder: CascadeEncoder, pcm: Pcm) -> Iterator[Features]:
    state = encoder.initial()
    whole = np.pad(pcm, (0, -pcm.size % CHUNK_SAMPLES))
    for index, piece in enumerate(np.split(whole, whole.size // CHUNK_SAMPLES)):
        [(features, state)] = encoder.encode([(Chunk("eval", index, piece), state)])
        yield features


def _scores(features: Features) -> Pcm:
    return _float32(features, "sound_scores")


def _float32(features: Features, name: str) -> Pcm:
    return features.tensors[name].astype(np.float32, copy=False)


def _joined(pieces: Iterable[Pcm]) -> Pcm:
    pause = np.zeros(int(PROMPT_PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    return np.concatenate([part for piece in pieces for part in (piece, pause)])


def _over_ambience(speech: Pcm) -> Pcm:
    minutes = np.array_split(speech, 24)
    noisy = [
        minute + at_level(np.resize(bed(number), minute.size), -26.0 - SPEECH_SNR_DB)
        for number, minute in enumerate(at_level(minute, -26.0) for minute in minutes)
    ]
    return np.concatenate(noisy)


def _series(bark: Pcm, times: int, seed: int) -> Pcm:
    """Repeat a bark with 0.3 to 1.5 s between, in a quiet room."""
    rng = np.random.default_rng([seed, times])
    gaps = [int(rng.uniform(0.3, 1.5) * SAMPLE_RATE_HZ) for _ in range(times)]
    series = np.concatenate([np.pad(bark, (0, gap)) for gap in gaps])
    [trial] = trials_of(series, NEAR, positions=1, seed=seed)
    return trial.pcm


def _hours(pieces: Sequence[Pcm]) -> float:
    return sum(piece.size for piece in pieces) / SAMPLE_RATE_HZ / 3600


def _rate(rows: Counter[str], hours: float) -> tuple[str, ...]:
    count = rows.total()
    rates = (f"{count / hours:.1f}", f"{poisson_upper(count) / hours:.1f}")
    return (f"{hours:.2f}", str(count), *rates, _listed(rows))


def _interval(hits: int, trials: int) -> str:
    low, high = wilson(hits, trials)
    return f"{low:.2f}-{high:.2f}"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} ×{count}" for name, count in counts.most_common())


if __name__ == "__main__":
    main()
