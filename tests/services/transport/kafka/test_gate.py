import asyncio

from services.transport.kafka.gate import Gate

INTERVAL_S = 0.05


async def test_the_first_passes_at_once_and_the_others_together_in_order() -> None:
    gate, loop = Gate(INTERVAL_S), asyncio.get_running_loop()
    passed: list[tuple[int, float]] = []

    async def go(number: int) -> None:
        await gate.wait()
        passed.append((number, loop.time()))

    began_s = loop.time()
    await asyncio.gather(*(go(number) for number in range(5)))

    assert [number for number, _ in passed] == list(range(5))
    at_s = [when - began_s for _, when in passed]
    assert at_s[0] < INTERVAL_S / 2
    assert at_s[1] >= INTERVAL_S
    assert at_s[4] - at_s[1] < INTERVAL_S  # in one group


async def test_who_gives_up_waiting_holds_up_nobody() -> None:
    gate = Gate(INTERVAL_S)
    await gate.wait()
    impatient, patient = (asyncio.create_task(gate.wait()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait_for(patient, 10 * INTERVAL_S)


async def test_no_interval_is_no_gate() -> None:
    gate = Gate(0)
    async with asyncio.timeout(1):
        for _ in range(1000):
            await gate.wait()
