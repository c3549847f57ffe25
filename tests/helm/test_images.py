"""The images are made of what the project is tested with."""

import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

from helm.check import DOCKERFILES, ROOT
from tests.training.corpus import made_row
from tests.training.tiny import write_start
from training.composition.rows import write_rows

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TESTED = {
    "build.lock": ROOT / "requirements.lock",
    "services.lock": ROOT / "requirements.lock",
    "training.lock": ROOT / "requirements.lock",
    "triton.lock": ROOT / "stack" / "triton" / "requirements.lock",
}

TRAINING = (DOCKERFILES / "training.Dockerfile").read_text()

each_lock = pytest.mark.parametrize("name", TESTED)


def pins(lock: Path) -> set[tuple[str, str]]:
    return set(re.findall(r"^([a-z0-9-]+)==([^ ]+)", lock.read_text(), re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=]", requirement)[0] for requirement in requirements}


@each_lock
def test_an_image_has_the_versions_that_were_tested(name: str) -> None:
    assert pins(DOCKERFILES / name) <= pins(TESTED[name])


@each_lock
def test_a_lock_has_sums_and_names_no_registry(name: str) -> None:
    text = (DOCKERFILES / name).read_text()
    assert text.count(" \\\n    --hash=sha256:") >= len(pins(DOCKERFILES / name)) > 0
    assert "://" not in text


def test_the_services_have_all_that_they_import() -> None:
    needed = names(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["cluster"])
    locked = {name for name, _ in pins(DOCKERFILES / "services.lock")}
    assert needed <= locked
    assert not names(PROJECT["optional-dependencies"]["dev"]) & (locked - needed) - {"pyyaml"}


def test_training_has_all_that_it_imports() -> None:
    extras = PROJECT["optional-dependencies"]
    needed = names(extras["train"] + extras["unified"] + ["tritonclient"]) - {"soundflow"}
    assert needed <= {name for name, _ in pins(DOCKERFILES / "training.lock")}


def test_the_models_have_all_that_they_import() -> None:
    locked = dict(pins(DOCKERFILES / "triton.lock"))
    assert names(PROJECT["dependencies"]) <= set(locked)
    assert locked["numpy"].startswith("1.")


@pytest.mark.parametrize(
    "path", sorted(DOCKERFILES.glob("*.Dockerfile")), ids=lambda path: str(path.stem)
)
def test_an_image_runs_as_nobody_in_particular(path: Path) -> None:
    final = path.read_text().split("\nFROM ")[-1]
    assert re.findall(r"^USER (.*)$", final, re.MULTILINE) == ["1000:1000"]
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", path.read_text(), re.MULTILINE)
        for source in line.split()[:-1]
    }
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert {source for source in copied if not source.startswith("docker/")} <= kept


def test_training_runs_of_its_sources_alone(tmp_path: Path) -> None:
    """As in its image, where no part of the project is installed: one whole step of training."""
    image, packages = tmp_path / "image", Path(sysconfig.get_path("purelib"))
    image.mkdir()
    copied = re.findall(r"^COPY (\w+) \1$", TRAINING, re.MULTILINE)
    assert {"soundflow", "training"} <= set(copied)
    for source in (
        *map(ROOT.joinpath, copied),
        *(each for each in packages.iterdir() if "soundflow" not in each.name),
    ):
        (image / source.name).symlink_to(source)
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_rows(corpus / "base.jsonl", [made_row(0, corpus, turns=1)])
    run = f"import runpy, sys; sys.path.append({str(image)!r}); runpy.run_module"
    given = ["scratch", "--from", str(write_start(tmp_path / "start")), "--data", str(corpus)]
    given += ["--to", str(tmp_path / "run"), "--steps", "1", "--batch", "1", "--piece", "1"]
    for module, arguments in (("training.train", given), ("training.publish", ["--help"])):
        command = [sys.executable, "-I", "-S", "-c", f"{run}({module!r}, run_name='__main__')"]
        done = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "checkpoints" / "step-00000001").is_dir()


def test_isolated_models_find_their_code_before_what_the_image_has(tmp_path: Path) -> None:
    """The line that the image's Python reads, in a Python of our own that reads nothing else."""
    image, ours = tmp_path / "image", tmp_path / "opt"
    venv.create(image)
    paths = {"base": str(image), "platbase": str(image)}
    packages = Path(sysconfig.get_path("purelib", vars=paths))
    line = (DOCKERFILES / "soundflow.pth").read_text()
    assert line.count("/opt/soundflow") == 2
    (packages / "soundflow.pth").write_text(line.replace("/opt/soundflow", str(ours)))
    for module in (packages / "locked.py", ours / "site" / "locked.py", ours / "code.py"):
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text("")
    ask = "import code, locked; print(code.__file__, locked.__file__, sep='\\n')"
    found = subprocess.run(
        [image / "bin" / "python", "-I", "-c", ask], capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == [str(ours / "code.py"), str(ours / "site" / "locked.py")]
