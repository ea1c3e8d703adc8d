import asyncio
import itertools

import pytest

from tapewire.service import Lifecycle, Phase
from tapewire.service.lifecycle import TRANSITIONS


class Part:
    """A component that writes down what is asked of it."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log
        self.fault: str | None = None
        self.broken: str = ""
        self.drain_takes_s = 0.0

    async def _do(self, what: str) -> None:
        self.log.append(f"{what} {self.name}")
        if self.broken == what:
            raise RuntimeError(f"{self.name} cannot {what}")

    async def start(self) -> None:
        await self._do("start")

    async def drain(self) -> None:
        await asyncio.sleep(self.drain_takes_s)
        await self._do("drain")

    async def stop(self) -> None:
        await self._do("stop")

    def health(self) -> str | None:
        return self.fault


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def parts(log: list[str]) -> list[Part]:
    return [Part(name, log) for name in "abc"]


def life_of(parts: list[Part], drain_timeout_s: float = 5) -> Lifecycle:
    return Lifecycle(parts, drain_timeout_s=drain_timeout_s)


async def test_parts_start_in_order_and_leave_in_reverse(parts: list[Part], log: list[str]):
    life = life_of(parts)
    await life.start()
    await life.drain()
    await life.stop()
    assert log == [
        *("start a", "start b", "start c"),
        *("drain c", "drain b", "drain a"),
        *("stop c", "stop b", "stop a"),
    ]
    assert life.phase is Phase.STOPPED


async def test_stopping_drains_first_when_nobody_did(parts: list[Part], log: list[str]):
    life = life_of(parts[:1])
    await life.start()
    await life.stop()
    assert log == ["start a", "drain a", "stop a"]


async def test_a_part_that_does_not_start_takes_the_others_down(parts: list[Part], log: list[str]):
    parts[1].broken = "start"
    life = life_of(parts)
    with pytest.raises(RuntimeError, match="b cannot start"):
        await life.start()
    assert log == ["start a", "start b", "stop b", "stop a"]
    assert life.phase is Phase.STOPPED


@pytest.mark.parametrize("what", ["drain", "stop"])
async def test_a_part_that_fails_keeps_no_other_from_leaving(
    parts: list[Part], log: list[str], what: str
):
    parts[1].broken = what
    life = life_of(parts)
    await life.start()
    await life.stop()
    assert log[3:] == [*("drain c", "drain b", "drain a"), *("stop c", "stop b", "stop a")]


async def test_the_drain_deadline_is_one_for_all(parts: list[Part], log: list[str]):
    parts[1].drain_takes_s = 60
    life = life_of(parts, drain_timeout_s=0.05)
    await life.start()
    await life.stop()
    assert log[3:] == ["drain c", "stop c", "stop b", "stop a"]


async def test_draining_twice_drains_once(parts: list[Part], log: list[str]):
    life = life_of(parts[:1])
    await life.start()
    await asyncio.gather(life.drain(), life.drain())
    assert log == ["start a", "drain a"]


async def test_a_caller_that_gives_up_does_not_end_the_drain(parts: list[Part], log: list[str]):
    parts[0].drain_takes_s = 0.05
    life = life_of(parts[:1])
    await life.start()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(life.drain(), 0.01)
    await life.stop()
    assert log == ["start a", "drain a", "stop a"]


async def test_readiness_names_what_is_not_ready(parts: list[Part]):
    life = life_of(parts)
    assert life.checks()["service"] == "new"
    await life.start()
    assert life.ready
    parts[2].fault = "broker away"
    assert not life.ready
    assert life.checks() == {"a": "ok", "b": "ok", "c": "broker away"}
    parts[2].fault = None
    await life.drain()
    assert life.checks()["service"] == "draining"
    assert not life.ready
    await life.stop()


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Phase, Phase)))
def test_a_service_goes_through_its_phases_in_order_only(before: Phase, after: Phase):
    life = life_of([])
    life.phase = before
    if after in TRANSITIONS[before]:
        life._enter(after)
        assert life.phase is after
    else:
        with pytest.raises(RuntimeError, match="no transition"):
            life._enter(after)
        assert life.phase is before
