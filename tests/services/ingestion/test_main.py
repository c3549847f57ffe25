"""Settings of an ingestion process that do not fit each other."""

import pytest

from services.core.runner import Health
from services.ingestion.main import check_stop, serve


def test_a_process_must_outlive_its_grace_period() -> None:
    check_stop(10, 20)
    with pytest.raises(ValueError, match=r"GRACE_S\) is 20.* 20 s .*SOUNDFLOW_STOP_WITHIN_S"):
        check_stop(20, 20)


async def test_a_replica_that_would_not_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDFLOW_SHUTDOWN_GRACE_S", "30")
    with pytest.raises(ValueError, match="SOUNDFLOW_SHUTDOWN_GRACE_S"):
        await serve(Health())
