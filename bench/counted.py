"""What the parts of a running platform count of themselves, at the ports where they are scraped."""

from collections.abc import Iterator, Mapping
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from stack.platform import Platform
from stack.settings import MODELS, SERVICES

PURPOSES: Mapping[str, str] = {
    **dict.fromkeys(SERVICES, "admin"),
    **dict.fromkeys(MODELS, "metrics"),
}
TIMEOUT_S = 5.0
OURS = "soundflow_"
PARTS = ("count", "sum")  # of a histogram


def counted(platform: Platform, metric: str, **labels: str) -> float:
    """Return a metric's sum over all parts, and over the labels that are not named."""
    return sum(
        sample.value
        for sample in _samples(platform)
        if sample.name == metric and labels.items() <= sample.labels.items()
    )


def timed(platform: Platform) -> Mapping[str, tuple[float, float]]:
    """Return how often each thing was timed that a service times, and for how long in all."""
    found: dict[str, list[float]] = {}
    for sample in _samples(platform):
        base, _, part = sample.name.rpartition("_")
        if base.startswith(OURS) and base.endswith("_seconds") and part in PARTS:
            name = " ".join([base.removeprefix(OURS), *sample.labels.values()])
            found.setdefault(name, [0.0, 0.0])[PARTS.index(part)] += sample.value
    return {name: (count, seconds) for name, (count, seconds) in found.items()}


def _samples(platform: Platform) -> Iterator[Sample]:
    for url in _urls(platform):
        for family in text_string_to_metric_families(_read(url)):
            yield from family.samples


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
