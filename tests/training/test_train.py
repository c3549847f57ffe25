import sys
from pathlib import Path

import torch
from pytest import CaptureFixture, MonkeyPatch, mark, raises
from safetensors.torch import load_file, save_file

from soundflow.checkpoint.folder import open_checkpoint
from tests.training.corpus import made_row
from tests.training.tiny import write_start
from training.composition.rows import write_rows
from training.learning.journal import LOG, told
from training.learning.saving import WEIGHTS
from training.train import main


def command(monkeypatch: MonkeyPatch, *arguments: object) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(sys, "argv", ["training.train", *map(str, arguments)])
    main()


def test_a_corpus_trains_every_stage_from_a_checkpoint_to_the_next(
    tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    corpus, newest = tmp_path / "corpus", write_start(tmp_path / "start")
    corpus.mkdir()
    write_rows(corpus / "base.jsonl", [made_row(n, corpus, turns=3) for n in range(3)])
    write_rows(corpus / "silent.jsonl", [made_row(9, corpus, turns=1)])
    for stage in ("format", "adapter", "streaming", "instructions"):
        run = tmp_path / stage
        options = ("--steps", 2, "--batch", 2, "--piece", 1)
        command(monkeypatch, stage, "--from", newest, "--data", corpus, "--to", run, *options)
        assert [line["step"] for line in told(run / LOG)] == [0, 1]
        newest = run / "checkpoints" / "step-00000002"
    open_checkpoint(newest).verify()


@mark.parametrize(
    ("wrong", "message"),
    [("--from", "is not a folder"), ("--data", "there is no corpus"), ("--batch", "pieces")],
)
def test_what_is_wrong_is_told_in_a_line(
    tmp_path: Path, monkeypatch: MonkeyPatch, wrong: str, message: str
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_rows(corpus / "base.jsonl", [made_row(0, corpus, turns=1)])
    given: dict[str, object] = {
        "--from": write_start(tmp_path / "start"),
        "--data": corpus,
        "--to": tmp_path / "run",
        "--batch": 2,
        "--piece": 2,
    }
    given |= {wrong: 3 if wrong == "--batch" else tmp_path / "nowhere"}
    with raises(SystemExit, match=f"error: .*{message}"):
        command(monkeypatch, "scratch", *(part for pair in given.items() for part in pair))


@mark.parametrize("text", [None, "no audio"])
def test_audio_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: MonkeyPatch, text: str | None
) -> None:
    row = made_row(0, tmp_path, turns=1)
    write_rows(tmp_path / "base.jsonl", [row])
    audio = tmp_path / row.turns[0].audio_path
    audio.unlink() if text is None else audio.write_text(text)
    given = (
        "--from",
        write_start(tmp_path / "start"),
        "--data",
        tmp_path,
        "--to",
        tmp_path / "run",
    )
    with raises(SystemExit, match=f"error: .*{audio.name}"):
        command(monkeypatch, "scratch", *given, "--steps", 1, "--batch", 1, "--piece", 1)


@mark.parametrize("option", ["--steps", "--batch", "--piece", "--every", "--kept"])
def test_nothing_is_no_number_of_anything(
    monkeypatch: MonkeyPatch, capsys: CaptureFixture[str], option: str
) -> None:
    with raises(SystemExit, match="2"):
        command(monkeypatch, "scratch", "--from", "a", "--data", "b", "--to", "c", option, 0)
    assert f"argument {option}: it is counted from 1 on, got 0" in capsys.readouterr().err


def test_a_loss_that_is_no_number_is_told_with_its_step(
    tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    write_rows(tmp_path / "base.jsonl", [made_row(0, tmp_path, turns=1)])
    start = write_start(tmp_path / "start")
    broken = load_file(start / WEIGHTS)
    broken["decoder.norm.weight"][0] = float("nan")
    save_file(broken, start / WEIGHTS)
    given = ("--from", start, "--data", tmp_path, "--to", tmp_path / "run", "--batch", 1)
    with raises(SystemExit, match="error: step 0: loss=nan"):
        command(monkeypatch, "scratch", *given)
