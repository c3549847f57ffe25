"""Which tests share a process."""

import pytest

from tests.lanes import lane, leaves_servers


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tests/a/test_b.py::test_c", "tests/a/test_b.py::test_d[1-cluster]"),
        (
            "tests/end_to_end/test_a.py::test_b[cluster]",
            "tests/end_to_end/cli/test_c.py::test_d[cluster-split stereo]",
        ),
        (
            "tests/services/transport/test_a.py::test_b",
            "tests/services/transport/kafka/test_c.py::test_d[cluster]",
        ),
    ],
)
def test_what_shares_servers_or_a_module_runs_in_one_process(one: str, other: str) -> None:
    assert lane(one) == lane(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tests/a/test_b.py::test_c", "tests/a/test_d.py::test_c"),
        (
            "tests/end_to_end/test_a.py::test_b[embedded]",
            "tests/end_to_end/test_a.py::test_b[cluster]",
        ),
        ("tests/services/state/test_a.py::test_b", "tests/services/transport/test_a.py::test_b"),
    ],
)
def test_what_shares_nothing_runs_side_by_side(one: str, other: str) -> None:
    assert lane(one) != lane(other)


def test_servers_end_where_no_later_test_shares_them() -> None:
    clustered = "tests/end_to_end/test_a.py::test_b[cluster]"
    assert leaves_servers(clustered, "tests/end_to_end/test_a.py::test_b[embedded]")
    assert leaves_servers("tests/cluster/test_a.py::test_b", "tests/training/test_c.py::test_d")
    assert not leaves_servers(clustered, "tests/end_to_end/cli/test_c.py::test_d[cluster]")
    assert not leaves_servers("tests/training/test_c.py::test_d", clustered)
