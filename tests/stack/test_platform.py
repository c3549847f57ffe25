"""How the parts of a platform are kept, with small parts in place of the real ones."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stack.errors import NotReady
from stack.platform import Platform, marked
from stack.settings import StackSettings
from tests.stack.toys import ToyParts
from tests.waiting import until

NAMES = ["kafka", "redis", "ingestion-0", "response-0"]


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[StackSettings]:
    settings = StackSettings(folder=tmp_path / "stack").on_free_ports()
    yield settings
    assert marked(settings.folder) == []


@pytest.fixture
def platform(settings: StackSettings) -> Iterator[Platform]:
    platform = Platform(ToyParts(settings))
    platform.up(lambda _line: None)
    yield platform
    platform.down()


def health(platform: Platform) -> dict[str, str]:
    return {one.server.name: one.health for one in platform.look()}


def pid(platform: Platform, name: str) -> int:
    return next(one.state.pid for one in platform.look() if one.server.name == name)


def test_parts_come_up_in_order_and_go_down_for_good(settings: StackSettings) -> None:
    platform, lines = Platform(ToyParts(settings)), list[str]()
    assert Platform.saved(settings.folder) is None
    platform.up(lines.append)
    try:
        started = [line.split()[0] for line in lines]
        assert sorted(started[:2]) == ["kafka", "redis"]
        assert started[2] == "topics"
        assert sorted(started[3:]) == ["ingestion-0", "response-0"]
        assert (settings.folder / "topics").exists()
        saved = Platform.saved(settings.folder)
        assert saved is not None and saved.settings == settings and saved.alive
        assert health(platform) == dict.fromkeys(NAMES, "")
        processes = [one.state.pid for one in platform.look()]
        assert all(psutil.Process(process).is_running() for process in processes)
    finally:
        platform.down()
    assert not any(psutil.pid_exists(process) for process in processes)
    assert Platform.saved(settings.folder) is None
    assert "GET /answer" in (settings.logs / "kafka.log").read_text()


def test_parts_get_their_environment_whole(platform: Platform) -> None:
    environment = psutil.Process(pid(platform, "redis")).environ()
    assert environment["QUOTED"] == 'a "word", and 100 %'


async def test_a_killed_part_is_started_again(platform: Platform) -> None:
    killed = pid(platform, "redis")
    os.kill(killed, signal.SIGKILL)
    await until(lambda: pid(platform, "redis") not in (0, killed))
    await until(lambda: health(platform) == dict.fromkeys(NAMES, ""))


@pytest.mark.parametrize("broken", ["redis", "response-0"])
def test_a_part_that_does_not_come_up_is_named_with_its_log(
    settings: StackSettings, broken: str
) -> None:
    platform = Platform(ToyParts(settings, broken=broken))
    with pytest.raises(NotReady, match=rf"^{broken} has ended; .*{broken}.log:\nno such weights"):
        platform.up(lambda _line: None)
    assert not platform.alive


def test_a_taken_port_is_named(settings: StackSettings, platform: Platform) -> None:
    other = StackSettings(folder=settings.folder / "other", chosen_ports=settings.ports)
    with pytest.raises(NotReady, match="for http of kafka, is taken by another program"):
        Platform(ToyParts(other)).up(lambda _line: None)


def test_a_part_that_never_ran_has_run_for_no_time(settings: StackSettings) -> None:
    platform = Platform(ToyParts(settings))
    for server in platform.parts.all:
        server.prepare()
    platform._keeper.start({"servers": platform.parts.all}, settings.logs)
    try:
        assert {(one.state.pid, one.state.since_s) for one in platform.look()} == {(0, 0)}
    finally:
        platform.down()


def test_a_folder_too_long_for_a_socket_is_told_and_taken_for_nothing(tmp_path: Path) -> None:
    settings = StackSettings(folder=tmp_path / ("long" * 30)).on_free_ports()
    with pytest.raises(NotReady, match="is too long for a socket's path; name another --folder"):
        Platform(ToyParts(settings)).up(lambda _line: None)
    assert Platform.saved(settings.folder) is None


def test_what_outlives_its_supervisor_is_found_and_ended(
    settings: StackSettings, platform: Platform
) -> None:
    daemon = int((settings.folder / "supervisord.pid").read_text())
    os.kill(daemon, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(daemon)] if psutil.pid_exists(daemon) else [], timeout=5)
    assert len(marked(settings.folder)) == len(NAMES)
    with pytest.raises(NotReady, match="make down"):
        platform.up(lambda _line: None)
    platform.down()
    assert marked(settings.folder) == []
