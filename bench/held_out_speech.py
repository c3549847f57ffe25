"""Speech of the held-out set: prompts, other speakers, Spanish to be translated, questions."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence

from bench import asr_data
from bench.asr_data import Prompt
from bench.asr_recording import as_float, noisy, plain
from bench.eval_asr import HEARD_BELS, frames, last_heard_ms
from bench.held_out_set import HeldOut
from soundflow.audio import Pcm
from soundflow.cascade.whisper_model import WhisperModel
from soundflow.checkpoint import locate
from training.curation.recordings import Split, split_of, text_source
from training.evaluation.held_out import QUESTIONS, TRANSCRIPTION, TRANSLATION
from training.speech.voices import Manner, installed_voices
from training.tasks.talk import CAPITALS, DAYS, OPPOSITES

SPEAKERS_LICENCE = {"librivox": "public domain", "cards": "BSD-2-Clause"}


def write(made: HeldOut) -> None:
    """Write the sets of transcription and translation, and the questions."""
    aligner = WhisperModel(locate("whisper-tiny.en"))
    prompts = asr_data.held_out(made.may_hold)
    own = {prompt.name: (asr_data.source(prompt.name), asr_data.LICENCE) for prompt in prompts}
    _transcription(made, aligner, "prompts", prompts, own, plain)
    _transcription(made, aligner, "prompts-noise", prompts, own, noisy)
    others = list(asr_data.speakers())
    theirs = {
        each.name: (
            f"{asr_data.SPEAKERS}/{each.name}",
            SPEAKERS_LICENCE[each.name.partition("/")[0]],
        )
        for each in others
    }
    _transcription(made, aligner, "speakers", others, theirs, plain)
    _translation(made)
    _questions(made)


def _transcription(
    made: HeldOut,
    aligner: WhisperModel,
    name: str,
    prompts: Sequence[Prompt],
    made_of: dict[str, tuple[str, str]],
    spoil: Callable[[Pcm], Pcm],
) -> None:
    """Write a set in LibriSpeech's form. Words are aligned in what is not spoilt."""
    folder = made.folder / TRANSCRIPTION / name
    texts, words = [], []
    for prompt in prompts:
        item, pcm = prompt.name.replace("/", "_"), as_float(prompt)
        made.add(f"{TRANSCRIPTION}/{name}/{item}.flac", spoil(pcm), [made_of[prompt.name]])
        texts.append(f"{item} {prompt.text}\n")
        spoken, ends = zip(*_aligned(aligner, pcm, prompt.text), strict=True)
        words.append(f'{item} "{",".join(spoken)}" "{",".join(ends)}"\n')
    (folder / f"{name}.trans.txt").write_text("".join(texts))
    (folder / f"{name}.alignment.txt").write_text("".join(words))


def _aligned(aligner: WhisperModel, pcm: Pcm, text: str) -> Iterator[tuple[str, str]]:
    """Yield each word and where it ends, in seconds; before each, where the pause ends."""
    log_mel = frames(pcm)
    loud_ms = 10 * (log_mel.max(axis=1) > log_mel.max() - HEARD_BELS).nonzero()[0]
    for word in aligner.align(log_mel, f" {text}"):
        yield "", f"{word.start_ms / 1000:.3f}"
        # The form parts words by commas, and its columns by spaces.
        spoken = word.text.strip().replace(",", "").replace('"', "")
        yield spoken, f"{last_heard_ms(word, loud_ms) / 1000:.3f}"


def _translation(made: HeldOut) -> None:
    """Write Spanish prompts with what they say in English, in CoVoST2's form."""
    english = {prompt.name: prompt.text for prompt in asr_data.held_out(made.may_hold)}
    rows = [("path", "sentence", "translation")]
    for prompt in asr_data.held_out(made.may_hold, "es"):
        if prompt.name in english:
            path = f"es/{prompt.name.replace('/', '_')}.flac"
            source = asr_data.source(prompt.name), asr_data.LICENCE
            made.add(f"{TRANSLATION}/{path}", as_float(prompt), [source])
            rows.append((path, prompt.text, english[prompt.name]))
    with (made.folder / TRANSLATION / "es_en.tsv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE).writerows(rows)


def _questions(made: HeldOut) -> None:
    """Write questions of the test split with their answers; there is no recorded one, so made."""
    voices = installed_voices()
    rows = []
    for number, (question, answer) in enumerate(_asked()):
        voice = voices[number % len(voices)]
        path = f"questions/{number:02}.flac"
        source = text_source(question), f"synthesised by {voice.name}"
        made.add(path, voice.say(question, Manner()), [source])
        rows.append({"id": path, "question": question, "answer": answer, "audio": path})
    (made.folder / QUESTIONS).write_text("".join(json.dumps(row) + "\n" for row in rows))


def _asked() -> Iterator[tuple[str, str]]:
    """Yield the questions of the test split that have one right answer, with it."""
    forms: tuple[tuple[str, Iterable[tuple[str, str]]], ...] = (
        ("What is the capital of {}?", CAPITALS.items()),
        ("Tell me the capital of {}.", CAPITALS.items()),
        ("Which city is the capital of {}?", CAPITALS.items()),
        ("What is the opposite of {}?", OPPOSITES.items()),
        ("Tell me the opposite of {}.", OPPOSITES.items()),
        ("Which day comes after {}?", zip(DAYS, (*DAYS[1:], DAYS[0]), strict=True)),
        ("What is {}?", ((f"{a} plus {b}", str(a + b)) for a in range(2, 20) for b in range(2, a))),
    )
    for form, pairs in forms:
        for about, answer in pairs:
            question = form.format(about)
            if split_of(text_source(question)) is Split.TEST:
                yield question, answer
