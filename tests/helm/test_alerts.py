"""The alert rules on made-up figures, in Prometheus's own rule engine."""

import shutil
import subprocess
from pathlib import Path

import pytest

from helm.check import CHART
from tests.helm.watched import alerts

FIGURES = Path(__file__).parent / "alerts_test.yaml"


@pytest.mark.prometheus
def test_alerts_fire_when_they_should_and_at_no_other_time(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None, "Prometheus is here without promtool"
    rules = CHART / "alerts" / "soundflow.yaml"
    figures = tmp_path / "alerts.yaml"
    figures.write_text(FIGURES.read_text().replace("[ALERTS]", f"[{rules}]"))
    done = subprocess.run(
        [promtool, "test", "rules", str(figures)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", [alert["alert"] for alert in alerts()])
def test_figures_make_every_alert_fire(alert: str) -> None:
    assert f'alertname="{alert}"' in FIGURES.read_text() or f"alertname: {alert}" in (
        FIGURES.read_text()
    )
