import socket
from urllib.parse import urlsplit
from urllib.request import urlopen

import psutil
import pytest

from bench.platform import running_platform


def test_a_platform_answers_while_it_is_wanted_and_ends_with_it() -> None:
    with running_platform("--model", "null") as platform:
        with urlopen(f"{platform.url}/readyz") as answer:
            assert answer.status == 200
        process = psutil.Process(platform.pid)
        assert process.is_running()
    assert not process.is_running()


def test_one_that_does_not_start_says_why() -> None:
    with (
        pytest.raises(RuntimeError, match="there is no model 'nothing'"),
        running_platform("--model", "nothing"),
    ):
        pass


def test_each_has_ports_of_its_own() -> None:
    with running_platform("--model", "null") as one, running_platform("--model", "null") as other:
        assert one.url != other.url
        for platform in (one, other):
            address = urlsplit(platform.url)
            socket.create_connection((address.hostname, address.port)).close()
