import pytest

from services.cli.errors import CliError
from services.cli.server import address, reaching, refusal

SERVER = "http://10.0.0.1:8080"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/stream"),
        ("ws://127.0.0.1:8080/", "http://127.0.0.1:8080/v1/stream"),
        ("wss://sound.example", "https://sound.example/v1/stream"),
        ("https://sound.example/behind/proxy", "https://sound.example/behind/proxy/v1/stream"),
    ],
)
def test_an_address_is_read_as_http(given: str, meant: str) -> None:
    assert str(address(given) / "v1/stream") == meant


@pytest.mark.parametrize("given", ["", "localhost:8080", "ftp://a", "http://[::1", "127.0.0.1"])
def test_what_is_no_address_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(CliError, match="write it like http://"):
        address(given)


def test_a_full_platform_says_when_to_come_back() -> None:
    assert "again in 7 s" in str(refusal(SERVER, 429, {"Retry-After": "7"}))
    assert "again later" in str(refusal(SERVER, 429, None))


def test_a_refusal_tells_the_servers_own_words() -> None:
    assert str(refusal(SERVER, 400, {}, "the file is empty")) == "the file is empty"


def test_something_else_at_that_address_is_told_apart() -> None:
    assert "no SoundFlow platform" in str(refusal(SERVER, 404, {}))


def test_a_platform_that_does_not_answer_is_told_as_that() -> None:
    with pytest.raises(CliError, match=f"at {SERVER} does not answer$"), reaching(SERVER):
        raise TimeoutError
