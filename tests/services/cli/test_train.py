"""`soundflow train status`, of a cluster that knows two Jobs: one failed, the other one will."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from kubernetes.config import kube_config
from typer.testing import CliRunner

from services.cli.main import app

FAILED = {"type": "Failed", "status": "True", "message": "no pod is left to try"}
JOBS = "/apis/batch/v1/namespaces/{}/jobs"
# Of night-2 events are streamed so often before it fails.
STREAMS = 2


class Cluster(BaseHTTPRequestHandler):
    """The Jobs are in the namespace `trials`, and in no other. Streams of events end at once."""

    streams = 0

    def do_GET(self) -> None:  # noqa: N802, the library's name
        path, _, query = self.path.partition("?")
        match path.removeprefix(JOBS.format("trials")):
            case "/night-1":
                self._answer(200, job(failed=True))
            case "/night-2":
                self._answer(200, job(failed=self.streams >= STREAMS))
            case "":
                Cluster.streams += 1
                self._answer(200, FORGOTTEN if "resourceVersion" in query else EVENT)
            case _:
                self._answer(404, {"message": f"no job at {path}"})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        answer = f"{json.dumps(body)}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on standard error, which is looked at."""


def job(*, failed: bool) -> dict[str, Any]:
    status = {"conditions": [FAILED]} if failed else {"active": 1}
    metadata = {"name": "night-2", "resourceVersion": "7"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "status": status}


EVENT = {"type": "ADDED", "object": job(failed=False)}
EXPIRED = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old: 7"}
FORGOTTEN = {"type": "ERROR", "object": EXPIRED}


@pytest.fixture(autouse=True)
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The current context is of the namespace `calls`, another one of `trials`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Cluster) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        cluster = {"server": f"http://127.0.0.1:{server.server_port}"}
        given = {"production": "calls", "staging": "trials"}
        written = {
            "current-context": "production",
            "clusters": [{"name": "one", "cluster": cluster}],
            "users": [{"name": "somebody", "user": {}}],
            "contexts": [
                {
                    "name": name,
                    "context": {"cluster": "one", "user": "somebody", "namespace": namespace},
                }
                for name, namespace in given.items()
            ],
        }
        (tmp_path / "config").write_text(yaml.safe_dump(written))
        place = str(tmp_path / "config")
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", place)
        yield
        server.shutdown()


def test_the_namespace_is_that_of_the_context_that_is_named() -> None:
    done = CliRunner().invoke(app, ["train", "status", "night-1", "--context", "staging"])
    assert "night-1: failed: no pod is left to try" in done.stdout
    elsewhere = CliRunner().invoke(app, ["train", "status", "night-1"])
    assert f"{JOBS.format('calls')}/night-1" in elsewhere.stderr


def test_a_namespace_that_is_named_goes_before_the_contexts() -> None:
    done = CliRunner().invoke(app, ["train", "status", "night-1", "--namespace", "trials"])
    assert "night-1: failed" in done.stdout


@pytest.mark.parametrize("follow", [(), ("--follow",)])
def test_a_job_that_failed_is_exit_status_1(follow: tuple[str, ...]) -> None:
    given = ["train", "status", "night-1", "--context", "staging", *follow]
    assert CliRunner().invoke(app, given).exit_code == 1


def test_a_job_is_followed_longer_than_the_cluster_remembers_where_it_was_followed_to() -> None:
    Cluster.streams = 0
    given = ["train", "status", "night-2", "--context", "staging", "--follow"]
    done = CliRunner().invoke(app, given)
    assert done.stdout == "night-2: running\nnight-2: failed: no pod is left to try\n", done.stderr
    assert (done.exit_code, Cluster.streams) == (1, STREAMS)


def test_a_context_that_is_not_there_is_told() -> None:
    done = CliRunner().invoke(app, ["train", "status", "night-1", "--context", "absent"])
    assert done.exit_code == 1
    assert done.stderr.startswith("soundflow: no cluster is configured")


def test_a_stage_that_nobody_knows_is_told_before_a_cluster_pays_for_it() -> None:
    given = ["train", "submit", "night-1", "streming", "--image", "i", "--from", "f", "--data", "d"]
    done = CliRunner().invoke(app, [*given, "--work-claim", "w", "--repository-claim", "r"])
    assert done.exit_code == 1
    assert "there is no stage 'streming'; there are format, adapter" in done.stderr
