"""Check the chart as a cluster would see it, its rules and the images' Dockerfiles, offline.

Every file of `ci/` is one way to install the chart; each is linted, rendered and validated.
"""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from helm.fetch import helm_binary
from stack.errors import StackError

ROOT = Path(__file__).parents[1]
CHART = ROOT / "helm" / "soundflow"
DOCKERFILES = ROOT / "docker"
# The oldest that the chart supports, and the newest whose schemas are at hand.
KUBERNETES = ("1.29.0", "1.37.0")
# Of operators that a cluster may have; their schemas are not part of Kubernetes.
FOREIGN_KINDS = ("ServiceMonitor", "PodMonitor", "PrometheusRule")

Manifest = dict[str, Any]


class CheckFailed(Exception):
    """What was checked is wrong; the message is for people."""


def variants() -> list[Path]:
    """Return the values files, each of them one way to install the chart."""
    return sorted((CHART / "ci").glob("*-values.yaml"))


def helm(command: str, *arguments: str) -> str:
    """Run one of Helm's commands on the chart and return what it prints. CheckFailed."""
    return _run([str(helm_binary(print)), command, *arguments])


def lint(values: Path) -> None:
    """CheckFailed when Helm finds anything to say against the chart with these values."""
    helm("lint", str(CHART), "--strict", "--quiet", "--values", str(values))


def render(*arguments: str, kubernetes: str = KUBERNETES[-1]) -> list[Manifest]:
    """Return the manifests of the chart, hooks included. CheckFailed."""
    options = ("--namespace", "calls", "--kube-version", kubernetes)
    printed = helm("template", "soundflow", str(CHART), *options, *arguments)
    return [manifest for manifest in yaml.safe_load_all(printed) if manifest]


def validate(manifest: Manifest, kubernetes: str) -> None:
    """CheckFailed when that version of Kubernetes would not take it, or not all of it."""
    name = f"{manifest['kind']} {manifest['metadata']['name']}"
    try:
        kubernetes_validate.validate(manifest, kubernetes, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = ".".join(map(str, error.path))
        raise CheckFailed(f"{name}: {where}: {error.message}") from error
    except kubernetes_validate.SchemaNotFoundError as error:
        if manifest["kind"] not in FOREIGN_KINDS:
            raise CheckFailed(f"{name}: {error.message}") from error


def check_chart() -> Iterator[str]:
    """Check every variant of the chart; yield what was done."""
    for values in variants():
        lint(values)
        for kubernetes in KUBERNETES:
            manifests = render("--values", str(values), kubernetes=kubernetes)
            for manifest in manifests:
                validate(manifest, kubernetes)
            yield f"{values.name}: {len(manifests)} manifests fit Kubernetes {kubernetes}"


def check_rules() -> Iterator[str]:
    """Have Prometheus's own tool read the rules, where it is installed."""
    promtool = shutil.which("promtool")
    if promtool is None:
        yield "promtool is not installed: the alert rules were not checked"
        return
    rules = [str(path) for path in sorted((CHART / "alerts").glob("*.yaml"))]
    yield _run([promtool, "check", "rules", "--lint=all", "--lint-fatal", *rules]).strip()


def check_dockerfiles() -> Iterator[str]:
    """Lint the images' Dockerfiles."""
    files = [str(path) for path in sorted(DOCKERFILES.glob("*.Dockerfile"))]
    hadolint = Path(sysconfig.get_path("scripts"), "hadolint")
    _run([str(hadolint), "--failure-threshold", "style", *files])
    yield f"hadolint has nothing to say against {len(files)} Dockerfiles"


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise CheckFailed(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Check all; exit with 1 at the first thing that is wrong."""
    try:
        for check in (check_chart, check_rules, check_dockerfiles):
            for line in check():
                print(line)
    except (CheckFailed, StackError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
