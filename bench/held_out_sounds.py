"""Sounds of the held-out set: what calls for help or for silence, what is counted."""

import json
from collections.abc import Iterator, Sequence

import numpy as np

from bench import asr_data, sounds_data
from bench.asr_recording import as_float
from bench.corpus_material import TABLE
from bench.held_out_set import HeldOut
from bench.sound_trials import BEDS, NEAR, ROOM_NOISE_DB, Condition, at_level, bed, trials_of
from bench.sounds_data import Clip
from soundflow.audio import CHUNK_MS, CHUNK_SAMPLES, SAMPLE_RATE_HZ, Pcm
from soundflow.cascade.vocabulary import resolve_sound
from training.composition.rows import SILENT, Row, Turn, write_rows
from training.composition.rows import Clip as Heard
from training.composition.saved import save_stream
from training.corpora.material import read_material
from training.curation.recordings import Split
from training.evaluation.held_out import PROACTIVE, STREAMS
from training.evaluation.proactive import IGNORE, RESPOND
from training.synth import Booth
from training.tasks.plan import Studio
from training.tasks.table import Ability
from training.tasks.understanding import COUNT, narrate

# The one background that is held out: noise, too, would be known to who has learnt from it.
BED = "forest-ambience"
CONDITIONS = {"near": NEAR, "noise": Condition("10 dB", snr_db=10.0)}
LONGEST_PIECE_S = 60.0
PROMPT_PAUSE_S = 0.5
SPEECH_DB, SPEECH_SNR_DB = -26.0, 15.0

# Single events, from and to in seconds, as they are seen in the waveform: package, file, label.
COUNTED = (
    ("gcompris-qt-data", "memory-sound/LRBark_1_LA_cut.ogg", "dog", 0.5, 0.82),
    ("tuxpaint-stamps-default", "animals/birds/duck.ogg", "duck", 0.1, 0.42),
    ("tuxpaint-stamps-default", "animals/mammals/pig.ogg", "pig", 0.0, 0.3),
    ("fluid-soundfont-gs", "Car Pass.wav", "car passing", 0.0, 2.6),
    ("minetest-data", "default/sounds/default_break_glass.3.ogg", "glass breaking", 0.0, 0.67),
)
MOST_COUNTED = 5
NARRATED = 30
GAP_S = (0.8, 2.0)
TAIL_CHUNKS = 6


def write(made: HeldOut) -> None:
    """Write the manifests of warnings, and the rows of counting."""
    clips = [
        clip
        for clip in sounds_data.clips()
        if clip.split == "test" and made.may_hold(source_of(clip.package, clip.file))
    ]
    for name, condition in CONDITIONS.items():
        _manifest(made, name, _trials(made, name, condition, clips))
    _manifest(made, "at-length", _at_length(made, clips))
    rows = [
        _counting(made, number, times)
        for number in range(len(COUNTED))
        for times in range(1, MOST_COUNTED + 1)
    ]
    studio = Studio(read_material([TABLE], Split.TEST), Booth())
    rows += [_narrated(made, studio, seed) for seed in range(NARRATED)]
    write_rows(made.folder / STREAMS / "base.jsonl", rows)


def source_of(package: str, file: str) -> str:
    """Return a recording's source as the table of material names it."""
    return f"{package.partition('==')[0]}/{file}"


def _trials(
    made: HeldOut, name: str, condition: Condition, clips: Sequence[Clip]
) -> Iterator[dict[str, str | float]]:
    """Each clip once, somewhere in the background."""
    for seed, clip in enumerate(clips):
        # A trial's place says which background it is over.
        *_, trial = trials_of(clip.load(), condition, positions=BEDS.index(BED) + 1, seed=seed)
        item = f"{name}/{seed:02}.flac"
        made_of = [_made_of(clip)]
        if condition.snr_db is not None:
            made_of.append(_made_of(_bed_clip()))
        made.add(f"{PROACTIVE}/{item}", trial.pcm, made_of)
        yield {
            "id": item,
            "path": item,
            "description": clip.label,
            "decision": RESPOND if clip.row else IGNORE,
            "onset_s": round(trial.onset_ms / 1000, 3),
        }


def _at_length(made: HeldOut, clips: Sequence[Clip]) -> Iterator[dict[str, str | float]]:
    """Speech, alone and over an ambience, and music: minutes in which nothing is to be said."""
    languages = [_speech(made, language) for language in asr_data.VOICES]
    places = [
        (clip.label, at_level(clip.load(), SPEECH_DB), [_made_of(clip)])
        for clip in clips
        if clip.group in ("music", "ambience")
    ]
    (_, english, english_of), *_ = languages
    noise = at_level(np.resize(bed(BEDS.index(BED)), len(english)), SPEECH_DB - SPEECH_SNR_DB)
    over = ("English speech over a forest", english + noise, [*english_of, _made_of(_bed_clip())])
    for label, pcm, made_of in (*languages, over, *places):
        pieces = np.array_split(pcm, -(-len(pcm) // round(LONGEST_PIECE_S * SAMPLE_RATE_HZ)))
        for number, piece in enumerate(pieces):
            item = f"at-length/{label}/{number}.flac"
            made.add(f"{PROACTIVE}/{item}", piece, made_of)
            yield {"id": item, "path": item, "description": label, "decision": IGNORE}


def _speech(made: HeldOut, language: str) -> tuple[str, Pcm, list[tuple[str, str]]]:
    """Join what is held out of the prompts of a language."""
    prompts = asr_data.held_out(made.may_hold, language)
    pause = np.zeros(round(PROMPT_PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    pcm = np.concatenate([part for prompt in prompts for part in (as_float(prompt), pause)])
    made_of = [(asr_data.source(prompt.name), asr_data.LICENCE) for prompt in prompts]
    return f"speech, {language}", at_level(pcm, SPEECH_DB), made_of


def _bed_clip() -> Clip:
    [clip] = [clip for clip in sounds_data.clips() if clip.file == f"{BED}.ogg"]
    return clip


def _made_of(clip: Clip) -> tuple[str, str]:
    return source_of(clip.package, clip.file), clip.licence


def _manifest(made: HeldOut, name: str, rows: Iterator[dict[str, str | float]]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (made.folder / PROACTIVE / f"{name}.jsonl").write_text(lines)


def _narrated(made: HeldOut, studio: Studio, seed: int) -> Row:
    """Some sounds, each to be named when it is over."""
    plan = narrate(studio, np.random.default_rng(seed))
    stream, name = plan.composed(seed), f"narrate-{seed:02}"
    folder, scene = made.folder / STREAMS, Ability.UNDERSTANDING
    row = save_stream(stream, folder, name, scene_type=scene, system=plan.system)
    for clip in row.clips:
        made.note(f"{STREAMS}/audio/{name}", clip.source, clip.licence)
    made.seconds += stream.timeline.chunks * CHUNK_MS / 1000
    return row


def _counting(made: HeldOut, number: int, times: int) -> Row:
    """A single event, repeated in a quiet room; its number is due when it is over."""
    package, file, label, from_s, to_s = COUNTED[number]
    rng = np.random.default_rng([number, times])
    whole = sounds_data.load(sounds_data.folder(package) / file)
    event = at_level(whole[round(from_s * SAMPLE_RATE_HZ) : round(to_s * SAMPLE_RATE_HZ)], -20.0)
    group = resolve_sound(label)
    assert group is not None
    licence = next(clip.licence for clip in sounds_data.clips() if clip.file == file)
    tail: Pcm = np.zeros(TAIL_CHUNKS * CHUNK_SAMPLES, np.float32)
    name, turns = f"count-{label.replace(' ', '-')}-{times}", []
    for place in range(times + 1):
        gap = round(rng.uniform(*GAP_S) * SAMPLE_RATE_HZ)
        silent = place == times
        part = tail if silent else np.pad(event, (gap, 0))
        part = np.pad(part, (0, -len(part) % CHUNK_SAMPLES))
        noise = rng.normal(0.0, 10 ** (ROOM_NOISE_DB / 20), len(part)).astype(np.float32)
        audio = f"audio/{name}/{place}.flac"
        made.add(f"{STREAMS}/{audio}", part + noise, [(source_of(package, file), licence)])
        turns.append(Turn(audio_path=audio, assistant=SILENT if silent else f"{place + 1}."))
    return Row(
        id=name,
        scene_type="counting",
        turns=tuple(turns),
        system=COUNT[0].format(group.label),
        timed=True,
        split=Split.TEST,
        clips=(Heard(label=label, source=source_of(package, file), licence=licence),),
    )
