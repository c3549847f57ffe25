"""Everything that dashboards and alert rules ask, put to a Prometheus that scrapes a platform."""

import json
import re
from urllib.request import urlopen

from stack.prometheus import PrometheusServer
from tests.helm.watched import NAME, dashboard_expressions, rules

# What Grafana puts in; short, so that a test's few scrapes fill it.
VARIABLES = {"$namespace": ".*", "$__rate_interval": "20s", "$__range": "1m"}

TIMEOUT_S = 5.0

COMPARISON = re.compile(r"(?<![=~!])(>|<|==)(?= )")


def questions() -> list[str]:
    """Return all expressions as they are asked: an alert's as a figure, whether it fires or not."""
    asked = []
    for expression in dashboard_expressions():
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        asked.append(expression)
    return asked + [_always(rule["expr"]) for rule in rules()]


def _always(expression: str) -> str:
    return COMPARISON.sub(r"\1 bool", expression).replace("unless", "or")


def silent(prometheus: PrometheusServer) -> list[str]:
    """Return what is there of questions without an answer, though all they ask about is there.

    HTTPError where Prometheus does not understand one.
    """
    return [
        question
        for question in questions()
        if not prometheus.query(question)
        and all(prometheus.query(name) for name in NAME.findall(question))
    ]


def absent(prometheus: PrometheusServer) -> set[str]:
    """Return the names that questions ask about and Prometheus has never seen."""
    names = {name for question in questions() for name in NAME.findall(question)}
    return {name for name in names if not prometheus.query(name)}


def failing_rules(prometheus: PrometheusServer) -> list[str]:
    """Return the alert rules that could not be evaluated, and why."""
    with urlopen(f"{prometheus.url}/api/v1/rules", timeout=TIMEOUT_S) as answer:
        groups = json.load(answer)["data"]["groups"]
    return [
        f"{rule['name']}: {rule['health']} {rule.get('lastError', '')}"
        for group in groups
        for rule in group["rules"]
        if rule["health"] != "ok"
    ]
