from pathlib import Path

from soundflow.checkpoint.packages import _watch
from tests.churn import churned


def test_progress_is_told_while_pip_removes_what_it_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(bytes(500))
    told: set[int] = set()
    with churned(tmp_path):
        for _ in range(500):
            _watch(tmp_path, 1000, told.add)
    assert told == {500}
