from pathlib import Path

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner, Result

from services.cli.main import app
from tests.soundflow.checkpoint.folders import PTH, write_published


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(tmp_path_factory.mktemp("published"))


def run(*args: object) -> Result:
    return CliRunner().invoke(app, ["checkpoint", *map(str, args)])


def test_inspect_tells_what_is_there(folder: Path) -> None:
    done = run("inspect", folder)
    assert done.exit_code == 0
    told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert told["folder"] == str(folder)
    assert told["form"] == "published"
    assert told["encoder"].startswith("2 layers of 64, 4 heads, 128 mels; 0.1 M numbers as float32")
    assert "151936 tokens, 4096 positions; 19.5 M numbers as float32, 78.0 MB" in told["decoder"]
    assert told["control"] == "silent 151605, respond 151644, end of text 151643"
    assert told["verdict"] == "every tensor is there, in its shape"


def test_inspect_tells_what_a_small_model_hears_through(small_folder: Path) -> None:
    done = run("inspect", small_folder)
    assert done.exit_code == 0
    assert "2 layers of 16, 2 heads, 80 mels, 3 chunks of context, 1 chunk late" in done.stdout
    assert "4 blocks of 12 and 5 letters, beside it 29 groups of sounds" in done.stdout
    assert "numbers as float16" in done.stdout


def test_inspect_takes_the_name_of_a_model_that_comes_with_the_repository() -> None:
    done = run("inspect", "small")
    assert done.exit_code == 0
    assert done.stdout.endswith("every tensor is there, in its shape\n")


def test_inspect_tells_what_is_wrong(tmp_path: Path) -> None:
    write_published(tmp_path)
    (tmp_path / PTH).write_bytes(b"")
    done = run("inspect", tmp_path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"soundflow: {tmp_path / PTH} cannot be read")


def test_convert_writes_our_own_form(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "own"
    done = run("convert", folder, target, "--precision", "bfloat16")
    assert (done.exit_code, done.stdout) == (0, f"{target}: written and complete\n")
    assert "writing" in done.stderr
    assert {str(one.dtype) for one in load_file(only_shard(target)).values()} == {"torch.bfloat16"}
    inspected = run("inspect", target)
    assert "form      soundflow" in inspected.stdout
    assert "19.5 M numbers as bfloat16, 39.0 MB" in inspected.stdout


def test_convert_refuses_what_it_does_not_know(folder: Path, tmp_path: Path) -> None:
    done = run("convert", folder, tmp_path / "own", "--precision", "int4")
    assert done.exit_code == 1
    assert "not int4" in done.stderr
    assert run("convert", folder, folder).exit_code == 1
    assert not (tmp_path / "own").exists()


def only_shard(folder: Path) -> Path:
    [shard] = folder.glob("*.safetensors")
    return shard
