from pathlib import Path

from stack.command import size_mb
from tests.churn import churned


def test_a_folder_is_measured_while_something_removes_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "stays").write_bytes(bytes(2_000_000))
    with churned(tmp_path):
        assert {size_mb(tmp_path) for _ in range(500)} == {2}
