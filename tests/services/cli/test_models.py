import hashlib
import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from services.cli import models
from services.cli.errors import CliError
from soundflow.checkpoint import SHIPPED, FetchProgress, Step, Store
from soundflow.checkpoint.table import Entry, File


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Three models, one whole, one damaged, one missing; nothing to fetch them from."""
    entries = {
        name: Entry((File("model.bin", 4, hashlib.sha256(b"good").hexdigest(), ()),), "MIT", "us")
        for name in ("whole", "damaged", "missing")
    }
    for name, content in {"whole": b"good", "damaged": b"evil"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.bin").write_bytes(content)
    store = Store(tmp_path, entries, {"null": ("whole",), "cascade": tuple(entries)})
    monkeypatch.setattr(models, "default_store", lambda: store)
    return store


def test_the_list_says_which_models_are_here(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    models.list_models()

    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]]
    # Sizes alone are looked at: what has the right one is taken for whole until it is verified.
    assert rows[:3] == [["whole", "here"], ["damaged", "here"], ["missing", "missing"]]
    assert [name for name, _ in rows[3:]] == list(SHIPPED)


def test_verifying_names_each_model_that_fails_and_those_that_do_not(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CliError) as failure:
        models.verify_models([])

    assert "damaged" in str(failure.value)
    assert "soundflow models fetch missing" in str(failure.value)
    assert capsys.readouterr().out == "whole: as published\n"


def test_verifying_takes_names(store: Store) -> None:
    models.verify_models(["whole"])

    with pytest.raises(CliError, match="soundflow models fetch damaged"):
        models.verify_models(["damaged"])


def test_fetching_what_is_here_is_quick_and_says_so(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    models.fetch_models(["whole"])

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "whole: ready\n"


def test_a_model_without_its_weights_is_not_started(store: Store) -> None:
    with pytest.raises(CliError, match="soundflow models fetch missing"):
        models.ready_model("cascade")


def test_a_model_with_its_weights_is_loaded(store: Store) -> None:
    assert models.ready_model("null").decoder.info.name == "null"


def test_a_model_that_nobody_knows_is_an_error_that_names_those_there_are(store: Store) -> None:
    with pytest.raises(CliError, match="cascade"):
        models.ready_model("parrot")


def test_progress_is_a_line_for_each_step_where_nobody_watches(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = models.StepLines().report
    for done_bytes in range(0, 100, 10):
        report(FetchProgress("whole", Step.HUB, done_bytes, 100))
    report(FetchProgress("whole", Step.DONE))

    assert capsys.readouterr().err.splitlines() == [
        "whole: downloading from the hub",
        "whole: ready",
    ]


def test_progress_is_one_bar_for_each_model_on_a_terminal() -> None:
    progress = Progress(console=Console(file=io.StringIO()))
    report = models.Bars(progress).report
    report(FetchProgress("a", Step.HUB, 30, 100))
    report(FetchProgress("a", Step.PACKAGE, 10, 80))
    report(FetchProgress("b", Step.DONE))

    first, second = progress.tasks
    assert (first.completed, first.total) == (10, 80)
    assert first.description == Step.PACKAGE
    assert not first.finished
    assert second.finished
