import asyncio

import pytest

from tapewire.service import background
from tapewire.service.background import Background


class Loop(Background):
    """Fails as often as it is told to, then works until it is stopped."""

    name = "loop"

    def __init__(self, *, failures: int) -> None:
        super().__init__()
        self.failures = failures
        self.rounds = 0
        self.working = asyncio.Event()
        self.ended = False

    async def _run(self) -> None:
        self.rounds += 1
        if self.rounds <= self.failures:
            raise KeyError("nobody thought of it")
        self.working.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def test_what_nobody_thought_of_is_told_and_the_work_begins_anew(monkeypatch, caplog):
    monkeypatch.setattr(background, "AGAIN_AFTER_S", 0.05)
    loop = Loop(failures=2)
    told = set()
    await loop.start()
    async with asyncio.timeout(10):
        while not loop.working.is_set():
            told.add(loop.health())
            await asyncio.sleep(0.001)
    assert "KeyError: 'nobody thought of it'" in told
    assert loop.health() is None
    assert loop.rounds == 3
    assert "begun anew" in caplog.text
    await loop.stop()


async def test_a_stopped_loop_is_over_when_stop_returns():
    loop = Loop(failures=0)
    await loop.start()
    await loop.working.wait()
    await loop.stop()
    assert loop.ended
    await loop.stop()


async def test_work_that_is_done_is_not_begun_again():
    class Once(Loop):
        async def _run(self) -> None:
            self.rounds += 1

    once = Once(failures=0)
    await once.start()
    for _ in range(5):
        await asyncio.sleep(0)
    assert once.rounds == 1
    assert once.health() is None
    await once.stop()


@pytest.mark.parametrize("failures", [0, 1])
async def test_stop_ends_it_also_while_it_waits_to_begin_anew(failures):
    loop = Loop(failures=failures)
    await loop.start()
    await asyncio.sleep(0)
    async with asyncio.timeout(background.AGAIN_AFTER_S * 0.9):
        await loop.stop()
