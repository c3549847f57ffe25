"""What the parts of a running platform count of themselves, at the ports where they are scraped."""

from collections.abc import Mapping
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from stack.platform import Platform
from stack.settings import MODELS, SERVICES

PURPOSES: Mapping[str, str] = {
    **dict.fromkeys(SERVICES, "admin"),
    **dict.fromkeys(MODELS, "metrics"),
}
TIMEOUT_S = 5.0


def counted(platform: Platform, metric: str, **labels: str) -> float:
    """Return a metric's sum over all parts, and over the labels that are not named."""
    return sum(
        sample.value
        for url in _urls(platform)
        for family in text_string_to_metric_families(_read(url))
        for sample in family.samples
        if sample.name == metric and labels.items() <= sample.labels.items()
    )


def _urls(platform: Platform) -> list[str]:
    settings = platform.settings
    return [
        f"http://127.0.0.1:{settings.ports[name][purpose]}/metrics"
        for kind, purpose in PURPOSES.items()
        for name in settings.names(kind)
    ]


def _read(url: str) -> str:
    with urlopen(url, timeout=TIMEOUT_S) as answer:
        text: str = answer.read().decode()
    return text
