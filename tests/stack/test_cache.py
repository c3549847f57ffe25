import threading
from pathlib import Path

import pytest

from stack.cache import Fetched
from stack.errors import FetchFailed, Missing


def silent(_line: str) -> None:
    pass


def write(folder: Path) -> None:
    (folder / "content").write_text("whole")


def test_a_thing_is_fetched_once(tmp_path: Path) -> None:
    thing, made = Fetched("thing", "1.0", tmp_path), list[Path]()
    with pytest.raises(Missing, match="make stack-fetch"):
        thing.locate()
    for _ in range(2):
        assert thing.fetch(made.append, silent) == thing.locate()
    assert made == [thing.folder]


def test_another_pin_is_another_folder(tmp_path: Path) -> None:
    old, new = Fetched("thing", "1.0", tmp_path), Fetched("thing", "1.1", tmp_path)
    old.fetch(write, silent)
    with pytest.raises(Missing):
        new.locate()
    new.fetch(write, silent)
    assert (old.locate() / "content").exists() and old.locate() != new.locate()


def test_nothing_of_a_broken_fetch_is_used(tmp_path: Path) -> None:
    thing = Fetched("thing", "1.0", tmp_path)

    def broken(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise FetchFailed("the source is gone")

    with pytest.raises(FetchFailed, match="the source is gone"):
        thing.fetch(broken, silent)
    with pytest.raises(Missing):
        thing.locate()
    assert sorted(path.name for path in thing.fetch(write, silent).iterdir()) == [
        "content",
        "fetched",
    ]


def test_two_at_once_fetch_once_and_the_second_says_that_it_waits(tmp_path: Path) -> None:
    thing, made, said = Fetched("thing", "1.0", tmp_path), list[Path](), list[str]()
    begun, go_on = threading.Event(), threading.Event()

    def slow(folder: Path) -> None:
        made.append(folder)
        begun.set()
        assert go_on.wait(10)

    def say(line: str) -> None:
        said.append(line)
        go_on.set()

    first = threading.Thread(target=thing.fetch, args=(slow, silent))
    first.start()
    assert begun.wait(10)
    assert Fetched("thing", "1.0", tmp_path).fetch(slow, say) == thing.folder
    first.join()
    assert len(made) == 1
    assert said == ["thing: another process is fetching it; waiting"]


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    thing = Fetched("thing", "1.0", tmp_path / "cache")
    with pytest.raises(FetchFailed, match="XDG_CACHE_HOME"):
        thing.fetch(write, silent)
