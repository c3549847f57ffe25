"""Names of servers, looked up again and again."""

import asyncio
import socket

import pytest
from pydantic import ValidationError

from services.inference.addresses import Addresses
from services.inference.config import InferenceConfig
from tests.waiting import until

Place = tuple[int, int, int, str, tuple[str | int, ...]]


class Names:
    """Stands in for the resolver: what each host leads to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hosts: dict[str, list[str]] = {}
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: str, port: int, *_: object, **__: object) -> list[Place]:
        if host not in self.hosts:
            raise socket.gaierror(f"no such host: {host}")
        return [
            (2, 1, 6, "", (address, port, 0, 0)[: 4 if ":" in address else 2])
            for address in self.hosts[host]
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


async def test_an_address_is_itself() -> None:
    assert await Addresses(["127.0.0.1:8001"]).find() == {"127.0.0.1:8001"}
    assert await Addresses([]).find() == frozenset()


async def test_a_name_stands_for_all_that_it_leads_to(names: Names) -> None:
    names.hosts |= {"decoder": ["10.0.0.1", "10.0.0.2"], "other": ["fd00::1"]}
    found = await Addresses(["decoder:8001", "other:9"]).find()
    assert found == {"10.0.0.1:8001", "10.0.0.2:8001", "[fd00::1]:9"}


async def test_a_name_that_cannot_be_looked_up_keeps_what_it_had(names: Names) -> None:
    names.hosts |= {"decoder": ["10.0.0.1"], "other": ["10.0.0.2"]}
    addresses = Addresses(["decoder:1", "other:1"])
    await addresses.find()
    del names.hosts["decoder"]
    names.hosts["other"] = ["10.0.0.3"]
    assert await addresses.find() == {"10.0.0.1:1", "10.0.0.3:1"}


async def test_what_no_name_can_be_costs_the_others_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await Addresses(["a..b:1", "127.0.0.1:1"]).find() == {"127.0.0.1:1"}
    assert "a..b:1 could not be looked up" in caplog.text


async def test_who_watches_sees_servers_come_and_go(names: Names) -> None:
    names.hosts["decoder"] = ["10.0.0.1"]
    seen: list[frozenset[str]] = []
    watch = asyncio.create_task(Addresses(["decoder:1"]).watch(seen.append, every_s=0.01))
    await until(lambda: bool(seen) and seen[-1] == {"10.0.0.1:1"})
    names.hosts["decoder"] = ["10.0.0.2", "10.0.0.3"]
    await until(lambda: seen[-1] == {"10.0.0.2:1", "10.0.0.3:1"})
    watch.cancel()


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
@pytest.mark.parametrize(
    "address", ["decoder", "decoder:", "decoder:http", ":8001", "decoder:80010"]
)
def test_what_cannot_be_an_address_is_refused_at_once(kind: str, address: str) -> None:
    with pytest.raises(ValidationError, match=f"'{address}' is not host:port"):
        InferenceConfig.model_validate({f"{kind}_addresses": f"10.0.0.1:8001, {address}"})


def test_no_address_at_all_is_refused_at_once() -> None:
    with pytest.raises(ValidationError, match="is not host:port"):
        InferenceConfig(decoder_addresses=" ")


def test_several_addresses_are_parted_by_commas() -> None:
    config = InferenceConfig(decoder_addresses="one:8001, [fd00::1]:8001,")
    assert config.decoders == ["one:8001", "[fd00::1]:8001"]
