"""Dashboards and alert rules name only what is measured, and say what to do."""

import json
import re
from itertools import combinations
from typing import Any

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from helm.check import CHART
from services.core import metrics
from tests.helm.watched import DASHBOARDS, NAME, alerts, expressions, panels, rules

README = (CHART / "README.md").read_text()

# Of the client library in each process, of Triton, and of the decoder in it.
FOREIGN = {
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_resident_memory_bytes",
    "nv_inference_compute_infer_duration_us",
    "nv_inference_pending_request_count",
    "nv_inference_queue_duration_us",
    "nv_inference_request_failure",
    "nv_inference_request_success",
    "soundflow_decoder_calls",
    "soundflow_decoder_sessions",
}
BY = re.compile(r"(?:by|on) \(([^)]*)\)")
# What Prometheus adds to each series, and what a histogram has.
ADDED_LABELS = {"namespace", "job", "instance", "le"}


def series() -> dict[str, set[str]]:
    """Return the labels of every series that the platform exports."""
    found: dict[str, set[str]] = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            labels = set(metric._labelnames)
            for name in _series_of(metric):
                found[name] = labels
    return found


def _series_of(metric: MetricWrapperBase) -> list[str]:
    match metric:
        case Counter():
            return [f"{metric._name}_total"]
        case Histogram():
            return [f"{metric._name}_{part}" for part in ("bucket", "count", "sum")]
        case Gauge():
            return [metric._name]
        case _:
            raise AssertionError(f"{metric} is of a kind that nobody taught this test")


def test_every_name_is_one_that_is_exported() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    named = {name for expression in expressions() for name in NAME.findall(expression)}
    assert named - series().keys() - FOREIGN - recorded == set()
    assert named >= FOREIGN | recorded, "what nobody asks for is left over"


def test_every_metric_is_looked_at() -> None:
    """A metric that no dashboard and no rule names is one that nobody will see."""
    named = {name for expression in expressions() for name in NAME.findall(expression)}
    unseen = {
        name
        for name in series()
        if name not in named and not name.endswith(("_sum", "_count", "_bucket"))
    }
    histograms = {name.removesuffix("_bucket") for name in series() if name.endswith("_bucket")}
    unseen |= {name for name in histograms if f"{name}_bucket" not in named}
    assert unseen == set()


@pytest.mark.parametrize("expression", expressions())
def test_series_are_summed_by_labels_that_they_have(expression: str) -> None:
    known = series()
    names = [name for name in NAME.findall(expression) if name in known]
    labels = set().union(*(known[name] for name in names)) | ADDED_LABELS
    if any(name.startswith("nv_") for name in NAME.findall(expression)):
        labels |= {"model", "version"}
    asked = {label.strip() for found in BY.findall(expression) for label in found.split(",")}
    assert asked <= labels


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_can_be_provisioned(path: Any) -> None:
    dashboard = json.loads(path.read_text())
    assert "id" not in dashboard, "a number of one Grafana's database"
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    for panel in panels(dashboard):
        for target in panel.get("targets", ()):
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            asked = set(re.findall(r"\$\{?([a-z_]+)", target["expr"]))
            assert {name for name in asked if not name.startswith("__")} <= names
    ids = [panel["id"] for panel in panels(dashboard)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_lie_beside_each_other(path: Any) -> None:
    for one, other in combinations(panels(json.loads(path.read_text())), 2):
        a, b = one["gridPos"], other["gridPos"]
        apart_x = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart_y = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart_x or apart_y, (one["title"], other["title"])
        assert a["x"] + a["w"] <= 24


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_says_what_it_shows(path: Any) -> None:
    for panel in panels(json.loads(path.read_text())):
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert panel["fieldConfig"]["defaults"]["unit"]


def test_the_promise_stands_first() -> None:
    overview = json.loads((CHART / "dashboards" / "overview.json").read_text())
    first = next(panel for panel in panels(overview) if panel["type"] != "row")
    assert (
        'soundflow_decision_seconds_bucket{namespace=~"$namespace", le="0.4"}'
        in (first["targets"][0]["expr"])
    )
    assert 0.4 in metrics.DECISION_BUCKETS_S


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert {"summary", "description", "runbook_url"} == alert["annotations"].keys()
    anchor = alert["annotations"]["runbook_url"]
    assert anchor == f"README.md#{alert['alert'].lower()}"
    assert f"\n### {alert['alert']}\n" in README
