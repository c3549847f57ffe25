"""What the dashboards and the alert rules ask."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from helm.check import CHART

DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
RULES = sorted((CHART / "alerts").glob("*.yaml"))

NAME = re.compile(r"\b(?:soundflow|nv|process|namespace:soundflow)_[a-z0-9_:]+\b")


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", ())


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def dashboard_expressions() -> list[str]:
    return [
        target["expr"]
        for path in DASHBOARDS
        for panel in panels(json.loads(path.read_text()))
        for target in panel.get("targets", ())
    ]


def expressions() -> list[str]:
    return dashboard_expressions() + [rule["expr"] for rule in rules()]
