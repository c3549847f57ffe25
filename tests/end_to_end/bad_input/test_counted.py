"""Faults are counted, whatever face they came over."""

import grpc
import pytest
from prometheus_client import REGISTRY

from tests.end_to_end.bad_input.sent import OPEN, WORDLESS, task
from tests.end_to_end.platform import Running, told
from tests.end_to_end.requests import opening


async def test_every_fault_is_counted_once_by_its_code(served: Running) -> None:
    def counted(code: str) -> float:
        name, labels = "soundflow_request_errors_total", {"code": code}
        return REGISTRY.get_sample_value(name, labels) or 0.0

    codes = ("second_open", "no_open", "unknown_model", "empty_instruction")
    before = {code: counted(code) for code in codes}
    async with served.stream() as stream:
        for message in (WORDLESS, OPEN):
            await stream.send(message)
        await stream.rest()
    for requests in ([opening(), opening()], [], [opening(model="huge")]):
        with pytest.raises(grpc.aio.AioRpcError):
            await told(served.grpc.Stream(iter(requests)))
    async with task(served, b"", model="huge") as response:
        assert response.status == 400
    grown = {code: counted(code) - before[code] for code in codes}
    assert grown == {"second_open": 2, "no_open": 1, "unknown_model": 1, "empty_instruction": 1}
