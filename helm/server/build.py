"""The API server, its store and its client: built from Go modules, once, into the user's cache."""

import re
import shutil
from functools import partial
from pathlib import Path

from stack import command
from stack.cache import Fetched, Report
from stack.errors import Missing

MODULE = Path(__file__).with_name("programs")
_PIN = "\n".join(
    (MODULE / name).read_text() for name in ("go.mod", "go.sum", "programs.go", "etcd/main.go")
)
KUBERNETES = Fetched("kubernetes", _PIN)
# Each program and the package of its `main`.
PROGRAMS = {
    "etcd": "./etcd",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
}


def version() -> str:
    """Return the version of Kubernetes that go.mod names."""
    found = re.search(r"k8s\.io/kubernetes v(\S+)", _PIN)
    assert found is not None
    return found[1]


def locate() -> Path:
    """Return the folder of programs. Raises Missing."""
    try:
        return KUBERNETES.locate()
    except Missing as missing:
        raise Missing(
            f"{missing.args[0].split(';')[0]}; build it: make helm-server-check"
        ) from None


def build(report: Report) -> Path:
    """Return the folder of programs, built where they are missing. Raises StackError."""
    go = shutil.which("go")
    if go is None:
        raise Missing("there is no go on the path; install Go 1.24 or newer")
    return KUBERNETES.fetch(partial(_build, go, report), report)


def _build(go: str, report: Report, folder: Path) -> None:
    for name, package in PROGRAMS.items():
        report(f"{name}: is built, which may take some minutes")
        build = [
            *(go, "build", "-C", str(MODULE), "-buildvcs=false"),
            *("-ldflags", f"-s -w {_version_flags()}", "-o", str(folder / name), package),
        ]
        environment = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
        command.run(name, build, into=folder, report=report, environment=environment)


def _version_flags() -> str:
    """Return what the linker writes in the place of a release's own version."""
    major, minor, _ = version().split(".")
    told = {"gitVersion": f"v{version()}", "gitMajor": major, "gitMinor": minor}
    return " ".join(f"-X k8s.io/component-base/version.{key}={told[key]}" for key in told)
