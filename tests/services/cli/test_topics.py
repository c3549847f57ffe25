"""`soundflow topics` against a real broker."""

import json
import subprocess
import sys
import uuid

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from services.core import wire
from stack.kafka import KafkaServer


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["topics", *args])


@pytest.mark.parametrize("command", ["create", "check", "lag", "replay"])
def test_the_help_of_each_command_has_an_example(command: str) -> None:
    shown = run(command, "--help")
    assert shown.exit_code == 0
    assert f"Example: soundflow topics {command}" in shown.stdout


def test_without_a_broker_one_line_says_so() -> None:
    # In a process of its own: kafka-python leaves the sockets of refused connections unclosed.
    command = ["from services.cli.main import app; app()", "topics", "lag"]
    failed = subprocess.run(
        [sys.executable, "-c", *command, "--brokers", "127.0.0.1:1"], capture_output=True, text=True
    )
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "soundflow: Kafka at 127.0.0.1:1: " in failed.stderr
    assert "Traceback" not in failed.stderr


def test_settings_that_do_not_fit_each_other_are_one_line_without_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOUNDFLOW_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("SOUNDFLOW_KAFKA_PASSWORD", "its-secret")
    failed = run("lag")
    assert failed.exit_code == 1
    assert failed.stderr == (
        "soundflow: SOUNDFLOW_KAFKA_SECURITY_PROTOCOL is SASL_SSL: set SOUNDFLOW_KAFKA_USERNAME "
        "and SOUNDFLOW_KAFKA_PASSWORD\n"
    )


@pytest.fixture
def place(kafka: KafkaServer) -> list[str]:
    """Options that lead to a place of its own on the broker."""
    return ["--brokers", kafka.brokers, "--prefix", f"cli-{uuid.uuid4().hex[:8]}"]


@pytest.mark.kafka
def test_topics_are_missing_then_made_then_right(place: list[str]) -> None:
    partitions = ["--partitions", "2"]
    missing = run("check", *place, *partitions)
    assert missing.exit_code == 1
    assert missing.stdout.count("missing") == len(wire.TOPICS) + 1

    made = run("create", *place, *partitions, "--json")
    assert made.exit_code == 0
    rows = [json.loads(line) for line in made.stdout.splitlines()]
    assert {row["state"] for row in rows} == {"created"}
    assert f"{place[3]}.audio" in {row["topic"] for row in rows}

    right = run("check", *place, *partitions)
    assert (right.exit_code, right.stdout) == (0, "all topics are as they should be\n")

    other = run("check", *place, "--partitions", "3", "--json")
    assert other.exit_code == 1
    assert {json.loads(line)["setting"] for line in other.stdout.splitlines()} == {"partitions"}


@pytest.mark.kafka
def test_where_nothing_runs_there_is_no_lag_and_nothing_to_replay(place: list[str]) -> None:
    run("create", *place, "--partitions", "2")
    for command in (["lag"], ["replay", "--partitions", "2"]):
        done = run(*command, *place)
        assert (done.exit_code, done.stdout) == (0, ""), done.output


@pytest.mark.kafka
def test_a_topic_that_there_is_not_cannot_be_replayed(place: list[str]) -> None:
    failed = run("replay", *place, "--topic", "video")
    assert failed.exit_code == 1
    assert "'video'; it is one of audio, " in failed.stderr
