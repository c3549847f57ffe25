"""What a service's process is told."""

import pytest
from pydantic import ValidationError

from services.core.runner import RunnerConfig


def test_a_log_level_that_there_is_not_is_refused_with_those_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOUNDFLOW_LOG_LEVEL", "debug")
    with pytest.raises(ValidationError, match=r"log_level\n.*'DEBUG', 'INFO', 'WARNING'"):
        RunnerConfig()
