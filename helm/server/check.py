"""Have a real API server check each way to install the chart, as an installation would."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from helm.check import FOREIGN_KINDS, CheckFailed, Manifest, render, variants
from helm.server.build import version
from helm.server.servers import ApiServer, EtcdServer

NAMESPACE = "calls"
# Pods that would get more rights than the strictest of Kubernetes' own rules allow are warned of.
POLICY = "pod-security.kubernetes.io/warn=restricted"


@contextmanager
def api_server(folder: Path) -> Iterator[ApiServer]:
    """Run an API server with the namespace of a release. Raises StackError or CheckFailed."""
    with EtcdServer(folder / "etcd") as etcd, ApiServer(folder / "apiserver", etcd) as server:
        _run(server, "create", "namespace", NAMESPACE)
        _run(server, "label", "namespace", NAMESPACE, POLICY)
        yield server


def apply(server: ApiServer, manifests: Sequence[Manifest]) -> None:
    """Have the server do all but keep them. CheckFailed for a refusal, and for a warning."""
    given = yaml.safe_dump_all(manifests)
    options = ("--dry-run=server", "--validate=strict", f"--namespace={NAMESPACE}")
    _run(server, "apply", *options, "--filename=-", given=given)


def check_chart(server: ApiServer) -> Iterator[str]:
    """Check every variant of the chart; yield what was done."""
    for values in variants():
        rendered = render("--values", str(values), kubernetes=version())
        known = [manifest for manifest in rendered if manifest["kind"] not in FOREIGN_KINDS]
        apply(server, known)
        left_out = sorted({one["kind"] for one in rendered} & set(FOREIGN_KINDS))
        yield (
            f"{values.name}: an API server of Kubernetes {version()} takes {len(known)} manifests"
            + (f"; it does not know {', '.join(left_out)}" if left_out else "")
        )


def _run(server: ApiServer, *arguments: str, given: str = "") -> None:
    done = server.kubectl(*arguments, given=given)
    if done.returncode != 0 or done.stderr:
        raise CheckFailed(f"kubectl {' '.join(arguments)}\n{done.stdout}{done.stderr}")
