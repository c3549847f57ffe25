"""The images are made of what the project is tested with."""

import re
import subprocess
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

from helm.check import DOCKERFILES, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TESTED = {
    "build.lock": ROOT / "requirements.lock",
    "services.lock": ROOT / "requirements.lock",
    "training.lock": ROOT / "requirements.lock",
    "triton.lock": ROOT / "stack" / "triton" / "requirements.lock",
}

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
