"""`python -m training.compare MODEL… --held-out FOLDER --to FOLDER`: models side by side.

Each is played the same held-out set. A model is a name, a checkpoint's folder, or the folder of a
report that this command wrote of one before. Writes one JSON, one page and its picture: which model
is better at what, and so its default, and every figure of all of them.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from soundflow.checkpoint import CheckpointError
from soundflow.models import Around, load_model
from soundflow.unified.runtime import Runtime
from training.evaluate import REPORT, read, write
from training.evaluation import comparing, held_out
from training.evaluation.comparison_page import page, table
from training.evaluation.comparison_picture import picture
from training.evaluation.figures import Result
from training.evaluation.subject import ModelSubject

COMPARISON, PAGE, PICTURE = "comparison.json", "comparison.html", "comparison.svg"


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare; say in a line what is wrong with what was given."""
    given = _parser().parse_args(arguments)
    try:
        given.to.mkdir(parents=True, exist_ok=True)
        held_out.refuse_what_was_learnt(given.held_out, given.trained_on)
        if len({_name(model) for model in given.model}) < len(given.model):
            raise ValueError(f"of the models {', '.join(given.model)} two are called the same")
        reports = dict(_report(model, given) for model in given.model)
    except (CheckpointError, ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    write_comparison(given.to, reports)
    print(table(comparing.verdicts(reports)))


def write_comparison(folder: Path, reports: comparing.Reports) -> None:
    """Write the comparison, as JSON, as a page and as a picture."""
    judged = comparing.verdicts(reports)
    tasks = [
        {
            "task": each.task.name,
            "figure": f"{each.task.result}: {each.task.figure}",
            "better": each.better,
            **{model: figure.as_json() for model, figure in each.figures.items()},
        }
        for each in judged
    ]
    compared = {"models": list(reports), "tasks": tasks, "default": comparing.defaults(judged)}
    (folder / COMPARISON).write_text(json.dumps(compared, indent=1, ensure_ascii=False) + "\n")
    (folder / PAGE).write_text(page(reports, judged))
    (folder / PICTURE).write_text(picture(judged))


def _name(model: str) -> str:
    """Return what a model is called: as its report says, else by its folder."""
    folder = Path(model)
    return read(folder)[0]["model"] if (folder / REPORT).is_file() else folder.name


def _report(model: str, given: argparse.Namespace) -> tuple[str, list[Result]]:
    """Return a model's name and what it did: as it is told by a report, or else played now."""
    played = _fingerprint(given.held_out)
    if (Path(model) / REPORT).is_file():
        about, results = read(Path(model))
        if about.get("held_out") != played or about.get("most") != str(given.most):
            raise ValueError(f"{model}: a report of another held-out set")
        return about["model"], results
    name = _name(model)
    subject = ModelSubject(load_model(model, Around(runtime=Runtime(sessions=1))))
    try:
        results = list(held_out.evaluate(subject, given.held_out, given.most))
    finally:
        subject.close()
    about = {
        "model": name,
        "evaluated": datetime.now(UTC).isoformat(timespec="minutes"),
        "held_out": played,
        "most": str(given.most),
    }
    (given.to / name).mkdir(exist_ok=True)
    write(given.to / name, about, results)
    return name, results


def _fingerprint(folder: Path) -> str:
    """Tell one held-out set from another: by its files, and how large each is."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    told = "\n".join(f"{path.relative_to(folder)} {path.stat().st_size}" for path in files)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.compare", description=__doc__)
    parser.add_argument("model", nargs="+", help="a name, a checkpoint's or a report's folder")
    parser.add_argument("--held-out", type=Path, required=True, help="see `bench.held_out`")
    parser.add_argument("--to", type=Path, required=True, help="where all reports are written")
    parser.add_argument(
        "--trained-on",
        type=Path,
        nargs="*",
        default=(),
        help="corpora that models have learnt from; refused if the set shares a source with them",
    )
    parser.add_argument("--most", type=int, default=1_000_000, help="items of each set")
    return parser


if __name__ == "__main__":
    main()
