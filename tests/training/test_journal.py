import json
from pathlib import Path

from training.learning.journal import LOG, Journal, told


def test_what_was_told_before_is_at_no_moment_gone(tmp_path: Path) -> None:
    with Journal(tmp_path, 0, 4) as journal:
        for step in range(3):
            journal.tell(step, {"loss": 1.0})
    with (tmp_path / LOG).open() as before, Journal(tmp_path, 2, 4) as journal:
        # Whoever reads the file that was there still reads all of it: it was replaced.
        assert [json.loads(line)["step"] for line in before] == [0, 1, 2]
        assert [line["step"] for line in told(tmp_path / LOG)] == [0, 1]
        journal.tell(2, {"loss": 0.5})
    assert [line["loss"] for line in told(tmp_path / LOG)] == [1.0, 1.0, 0.5]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [LOG]
