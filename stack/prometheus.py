"""A real Prometheus that scrapes the platform."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from stack.cache import Report
from stack.ports import HOST
from stack.programs import program
from stack.server import Server

SCRAPE_INTERVAL = "2s"
# Dashboards and alerts tell platforms apart by it, as Kubernetes' namespace does.
LABELS: Mapping[str, str] = {"namespace": "soundflow"}
CHECK_TIMEOUT_S = 2.0
QUERY_TIMEOUT_S = 10.0  # on a machine where all else runs too


def locate() -> Path:
    """Return the path of `prometheus`. Raises Missing."""
    return Path(program("prometheus"))


def fetch(_report: Report) -> Path:
    """Return the same: only the system's package manager can bring it. Raises Missing."""
    return locate()


class PrometheusServer(Server):
    """One Prometheus.

    targets: by job, the addresses whose /metrics it reads. rules: files of alert rules.
    port: where it listens; 0 takes a free one, kept over restarts.
    """

    def __init__(
        self,
        folder: Path,
        targets: Mapping[str, Sequence[str]],
        rules: Sequence[Path] = (),
        port: int = 0,
    ) -> None:
        super().__init__(folder, "prometheus", {"http": port})
        self.targets = targets
        self.rules = rules

    @property
    def url(self) -> str:
        """Where its page and its API are."""
        return f"http://{HOST}:{self.ports['http']}"

    @property
    def settings(self) -> dict[str, object]:
        """The settings file."""
        return {
            "global": {
                "scrape_interval": SCRAPE_INTERVAL,
                "evaluation_interval": SCRAPE_INTERVAL,
            },
            "rule_files": [str(path.resolve()) for path in self.rules],
            "scrape_configs": [
                {
                    "job_name": job,
                    "static_configs": [{"targets": list(addresses), "labels": dict(LABELS)}],
                }
                for job, addresses in self.targets.items()
            ],
        }

    def prepare(self) -> None:
        """Write the settings."""
        super().prepare()
        self._file.write_text(yaml.safe_dump(self.settings, sort_keys=False))

    def command(self) -> Sequence[str]:
        """Return the server's command line."""
        return [
            str(locate()),
            f"--config.file={self._file}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={HOST}:{self.ports['http']}",
            "--log.level=warn",
        ]

    def check(self) -> None:
        """Ask whether it can answer queries."""
        urlopen(f"{self.url}/-/ready", timeout=CHECK_TIMEOUT_S).close()

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return what an expression is now: the labels and value of each of its series."""
        url = f"{self.url}/api/v1/query?{urlencode({'query': expression})}"
        with urlopen(url, timeout=QUERY_TIMEOUT_S) as answer:
            series = json.load(answer)["data"]["result"]
        return [(one["metric"], float(one["value"][1])) for one in series]

    @property
    def _file(self) -> Path:
        return self.folder / "prometheus.yaml"
