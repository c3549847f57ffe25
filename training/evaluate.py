"""`soundflow evaluate MODEL --to FOLDER …`: what a model does, in one JSON and one page.

Each benchmark is played that is given. A model is a name (`cascade`) or a checkpoint's folder.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from openai import OpenAIError

from soundflow.checkpoint import CheckpointError, open_checkpoint
from soundflow.models import Around, is_checkpoint, load_model
from soundflow.unified.runtime import Runtime
from training.evaluation import benchmarks, corpus, formats, held_out
from training.evaluation.answers import Judge, named
from training.evaluation.figures import Figure, Result
from training.evaluation.judging import endpoint_judge
from training.evaluation.offline import Answerer, Offline, live
from training.evaluation.page import page
from training.evaluation.subject import ModelSubject

REPORT, PAGE, PREDICTIONS = "evaluation.json", "evaluation.html", "predictions.jsonl"
KEY_VARIABLE = "SOUNDFLOW_JUDGE_KEY"
# The options that name what is played.
PLAYED = (
    *("held_out", "corpus", "proactive", "librispeech", "covost2", "mmau"),
    *("llama_questions", "web_questions", "sd_qa", "alpaca_eval"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate; say in a line what is wrong with what was given.

    What was measured before something failed is written: it may have taken hours.
    """
    given = _given(arguments)
    about = {"model": given.model, "evaluated": datetime.now(UTC).isoformat(timespec="minutes")}
    results: list[Result] = []
    try:
        given.to.mkdir(parents=True, exist_ok=True)
        for result in evaluate(given):
            results.append(result)
            write(given.to, about, results)
    except (CheckpointError, OpenAIError, ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def evaluate(given: argparse.Namespace) -> Iterator[Result]:
    """Yield each task's results as they are there. What a reader or a model raises is raised."""
    most: int = given.most
    domains = json.loads(given.domains.read_text()) if given.domains else {}
    for path in given.predictions:
        yield benchmarks.proactive_predictions(given.proactive, path, domains)
    around = Around(runtime=Runtime(device=given.device, sessions=1))
    subject = ModelSubject(load_model(given.model, around))
    offline = (
        Offline(open_checkpoint(given.model), given.device) if is_checkpoint(given.model) else None
    )
    try:
        if given.held_out:
            yield from held_out.evaluate(subject, given.held_out, most)
        if given.corpus:
            yield from corpus.evaluate(subject, given.corpus, given.split, most)
        if given.proactive:
            where = given.to / PREDICTIONS
            yield from benchmarks.proactive_bench(subject, given.proactive, domains, most, where)
        if given.librispeech:
            items = list(formats.librispeech(given.librispeech))
            spoken = formats.alignments(given.alignments) if given.alignments else {}
            yield benchmarks.transcribed("LibriSpeech, live", subject, items, spoken, most)
            if offline:
                yield benchmarks.transcribed_whole("LibriSpeech, offline", offline, items, most)
        if given.covost2:
            items = list(formats.covost2(given.covost2, given.covost2_clips))
            name, into = f"CoVoST2 into {given.language}", given.language
            yield benchmarks.translated(f"{name}, live", subject, items, into, most)
            if offline:
                whole = f"{name}, offline"
                yield benchmarks.translated_whole(whole, offline, items, into, most)
        yield from _questions(given, offline or live(subject), live(subject))
    finally:
        subject.close()


def _questions(given: argparse.Namespace, whole: Answerer, spoken: Answerer) -> Iterator[Result]:
    most: int = given.most
    if given.mmau:
        yield benchmarks.mmau(whole, formats.mmau(given.mmau), most)
    if given.llama_questions:
        items = formats.llama_questions(given.llama_questions)
        yield benchmarks.questions("Llama Questions", spoken, items, named, most)
    if given.web_questions:
        items = formats.web_questions(given.web_questions)
        yield benchmarks.questions("Web Questions", spoken, items, named, most)
    if given.sd_qa:
        items = formats.sd_qa(given.sd_qa)
        yield benchmarks.questions("SD-QA", spoken, items, named, most)
    if given.alpaca_eval:
        items = formats.alpaca_eval(given.alpaca_eval)
        with _judge(given) as judge:
            yield benchmarks.requests("AlpacaEval", spoken, items, judge, most)


def write(folder: Path, about: dict[str, str], results: Sequence[Result]) -> None:
    """Write the report, as JSON and as a page."""
    told = {
        result.name: {"note": result.note, "figures": [f.as_json() for f in result.figures]}
        for result in results
    }
    report = {**about, "results": told}
    (folder / REPORT).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    (folder / PAGE).write_text(page(f"Evaluation of {about['model']}", about, results))


def read(folder: Path) -> tuple[dict[str, str], list[Result]]:
    """Read a report: what `write` was given. OSError, ValueError."""
    report = json.loads((folder / REPORT).read_text())
    results = [
        Result(name, tuple(map(Figure.from_json, told["figures"])), told["note"])
        for name, told in report.pop("results").items()
    ]
    return report, results


def _judge(given: argparse.Namespace) -> AbstractContextManager[Judge | None]:
    if not given.judge_url:
        return nullcontext()
    return endpoint_judge(given.judge_url, given.judge_model, os.environ.get(KEY_VARIABLE, "none"))


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; what makes no sense together ends in a line and exit status 2."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if not any(getattr(given, name) for name in PLAYED):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in PLAYED)
        parser.error(f"there is nothing to play: give at least one of {names}")
    if given.covost2 and not given.covost2_clips:
        parser.error("--covost2 is a table alone: --covost2-clips names the folder of its clips")
    if given.predictions and not given.proactive:
        parser.error("--predictions are scored by the manifest that --proactive names")
    return given


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="soundflow evaluate", description=__doc__)
    parser.add_argument("model", help="a model's name, or a checkpoint's folder")
    parser.add_argument("--to", type=Path, required=True, help="where the report is written")
    parser.add_argument("--device", default="", help="as torch names it; the GPU if there is one")
    parser.add_argument("--most", type=int, default=1_000_000, help="items of each benchmark")
    parser.add_argument("--held-out", type=Path, help="a folder of `python -m bench.held_out`")
    parser.add_argument("--corpus", type=Path, help="a folder of our own rows")
    parser.add_argument("--split", default="test", help="of the corpus")
    parser.add_argument("--proactive", type=Path, help="the manifest of Proactive-Sound-Bench")
    parser.add_argument(
        "--predictions", type=Path, nargs="*", default=(), help="rows of other systems on it"
    )
    parser.add_argument("--domains", type=Path, help="JSON: its folders' domains")
    parser.add_argument("--librispeech", type=Path, help="a split's folder")
    parser.add_argument("--alignments", type=Path, help="when its words were said")
    parser.add_argument("--covost2", type=Path, help="a table of CoVoST2")
    parser.add_argument("--covost2-clips", type=Path, help="the folder of its clips")
    parser.add_argument("--language", default="zh", help="what it is translated into")
    for name in ("mmau", "llama-questions", "web-questions", "sd-qa", "alpaca-eval"):
        parser.add_argument(f"--{name}", type=Path, help="the benchmark's file")
    parser.add_argument(
        "--judge-url",
        help=f"an OpenAI-compatible endpoint that marks replies; its key is in {KEY_VARIABLE}",
    )
    parser.add_argument("--judge-model", default="judge")
    return parser


if __name__ == "__main__":
    main()
