"""What some tests need beside the code, and what happens where it is missing."""

import os
from functools import cache

import pytest

from bench.browser import CHROMIUM
from soundflow.checkpoint import CheckpointError, expand, locate


@cache
def missing_weights() -> str:
    """Say which weights are not on this disk; "" when all are."""
    try:
        for name in expand("cascade"):
            locate(name)
    except CheckpointError as error:
        return f"{error}; all at once: make models"
    return ""


def missing(item: pytest.Item) -> str:
    """Say what a test needs that is not here; "" when nothing is missing."""
    if item.get_closest_marker("models") and missing_weights():
        return missing_weights()
    if item.get_closest_marker("browser") and CHROMIUM is None:
        return "there is no Chromium; install your system's package of it"
    return ""


@pytest.hookimpl(tryfirst=True)  # before any fixture loads what is missing
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that lacks something; where every test must run, fail it."""
    reason = missing(item)
    if not reason:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
