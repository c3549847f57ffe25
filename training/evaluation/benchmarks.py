"""The public benchmarks, each played to a model: items in, a result out."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from soundflow.audio import SAMPLE_RATE_HZ
from soundflow.interaction import Ability, SessionSpec
from training.curation.recordings import read_pcm
from training.evaluation import proactive, tiers, transcription, translation
from training.evaluation.answers import Answered, Judge, Right, chose, score, score_judged
from training.evaluation.figures import Result
from training.evaluation.formats import Item
from training.evaluation.offline import Answerer, with_tail
from training.evaluation.progress import shown
from training.evaluation.subject import Subject
from training.evaluation.words import Spoken

TRANSCRIBE = SessionSpec(abilities=frozenset({Ability.TRANSCRIBE}))
PROACTIVE = SessionSpec(abilities=frozenset({Ability.PROACTIVE}))
CHAT = SessionSpec(abilities=frozenset({Ability.CHAT}))
_BENCH = "Proactive-Sound-Bench"
_CHOICES = "{question} Choose one of: {choices}."


def transcribed(
    name: str,
    subject: Subject,
    items: Iterable[Item],
    spoken: Mapping[str, Sequence[Spoken]],
    most: int,
) -> Result:
    """Transcribe live. spoken: when each word was, if known."""
    lived = []
    for item in shown(name, list(islice(items, most))):
        heard = subject.hear(with_tail(read_pcm(item.audio)), TRANSCRIBE)
        lived.append(transcription.compare_live(item.expected[0], spoken.get(item.id, ()), heard))
    return transcription.score(name, lived)


def transcribed_whole(name: str, answer: Answerer, items: Iterable[Item], most: int) -> Result:
    """Transcribe each recording at once."""
    whole = [
        transcription.compare(item.expected[0], answer(read_pcm(item.audio), TRANSCRIBE))
        for item in shown(name, list(islice(items, most)))
    ]
    return transcription.score(name, whole)


def translated(
    name: str, subject: Subject, items: Iterable[Item], language: str, most: int
) -> Result:
    """Translate live into a language, by its ISO 639-1 code."""
    lived = []
    for item in shown(name, list(islice(items, most))):
        pcm_S = read_pcm(item.audio)
        heard = subject.hear(with_tail(pcm_S), _translate(language))
        speech_ms = len(pcm_S) * 1000 / SAMPLE_RATE_HZ
        lived.append(translation.from_heard(item.expected[0], heard, language, speech_ms))
    return translation.score(name, lived, language)


def translated_whole(
    name: str, answer: Answerer, items: Iterable[Item], language: str, most: int
) -> Result:
    """Translate each recording at once."""
    whole = [
        translation.Translated(item.expected[0], answer(read_pcm(item.audio), _translate(language)))
        for item in shown(name, list(islice(items, most)))
    ]
    return translation.score(name, whole, language)


def mmau(answer: Answerer, items: Iterable[Item], most: int) -> Result:
    """Answer questions of several choices, which are asked as text."""
    answered = []
    for item in shown("MMAU", list(islice(items, most))):
        asked = _CHOICES.format(question=item.question, choices=", ".join(item.choices))
        reply = answer(read_pcm(item.audio), SessionSpec(instruction=asked))
        answered.append(Answered(item, reply))
    return score("MMAU", answered, chose)


def questions(
    name: str, answer: Answerer, items: Iterable[Item], right: Right, most: int
) -> Result:
    """Answer spoken questions."""
    return score(name, _replies(name, answer, items, most), right)


def requests(
    name: str, answer: Answerer, items: Iterable[Item], judge: Judge | None, most: int
) -> Result:
    """Answer spoken requests, for a judge to mark."""
    return score_judged(name, _replies(name, answer, items, most), judge)


def proactive_bench(
    subject: Subject, manifest: Path, domains: Mapping[str, str], most: int, predictions: Path
) -> list[Result]:
    """Play both tiers, and write what the Single one gave as public prediction rows."""
    clips = proactive.read_manifest(manifest)[:most]
    singles = [(clip,) for clip in clips]
    rows: list[tuple[str, str]] = []
    single = _tier(subject, f"{_BENCH}, single", singles, manifest.parent, domains, rows)
    told = (json.dumps({"id": name, "_raw_reply": raw}) + "\n" for name, raw in rows)
    predictions.write_text("".join(told))
    multiple = list(tiers.series(clips))
    results = [single]
    if multiple:
        results.append(
            _tier(subject, f"{_BENCH}, multiple", multiple, manifest.parent, domains, [])
        )
    return results


def warnings(name: str, subject: Subject, manifest: Path, most: int) -> Result:
    """Play the clips of a manifest, each on its own."""
    singles = [(clip,) for clip in proactive.read_manifest(manifest)[:most]]
    return _tier(subject, name, singles, manifest.parent, {}, [])


def proactive_predictions(manifest: Path, predictions: Path, domains: Mapping[str, str]) -> Result:
    """Score prediction rows that another system wrote."""
    clips = proactive.read_manifest(manifest)
    judged = proactive.judge(clips, proactive.read_predictions(predictions), domains)
    return proactive.score(f"{_BENCH}, {predictions.name}", judged)


def _tier(
    subject: Subject,
    name: str,
    streams: Sequence[tuple[proactive.Clip, ...]],
    folder: Path,
    domains: Mapping[str, str],
    rows: list[tuple[str, str]],
) -> Result:
    judged, seconds, strays = [], 0.0, 0
    for clips in shown(name, streams):
        audio = [read_pcm(folder / clip.path) for clip in clips]
        pcm_S, placed = tiers.stream_of(clips, audio)
        heard = subject.hear(pcm_S, PROACTIVE)
        seconds += heard.seconds
        strays += tiers.strays(placed, heard)
        for clip, said in zip(clips, tiers.reactions(placed, heard), strict=True):
            rows.append((clip.id, proactive.written(said.decision, said.reply)))
            domain = proactive.domain_of(clip.path, domains)
            replies = len(said.turns)
            judged.append(
                proactive.Judged(domain, clip.decision, said.decision, replies, said.delay_ms)
            )
    return proactive.score(name, judged, seconds, strays)


def _translate(language: str) -> SessionSpec:
    return SessionSpec(abilities=frozenset({Ability.TRANSLATE}), target_language=language)


def _replies(name: str, answer: Answerer, items: Iterable[Item], most: int) -> list[Answered]:
    return [
        Answered(item, answer(read_pcm(item.audio), CHAT))
        for item in shown(name, list(islice(items, most)))
    ]
