"""Risk is killed with SIGKILL at every point that matters, and at random instants."""

import asyncio
import collections
import json
import os
import random
import signal
import sys
import textwrap
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)  # processes start slowly where many tests share two cores
PATIENCE_S = 120

BOTH = pytest.mark.parametrize(
    "database",
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.containers)],
    indirect=True,
)
LOSSES = (100, 760, 770, 910, 920, 1010, 1020, 1500)

# Each names a place and wraps it so that the process kills itself there, the n-th time.
POINTS = {
    "after the event is applied, before the commit": ("work.Work", "save", "after"),
    "before the outbox row is written": ("work.Work", "put", "before"),
    "after the commit, before the ack": ("engine.Engine", "hear", "after"),
    "before the publish": ("outbox.Publisher", "publish", "before"),
    "after the confirm, before its note": ("stopping.Stopping", "sent", "before"),
    "after the confirm's note": ("stopping.Stopping", "sent", "after"),
}
SUICIDE = """
    import functools, importlib, os, signal, sys
    place, name, when, countdown = sys.argv[1:]
    module, _, cls = place.partition(".")
    owner = getattr(importlib.import_module("tapewire.risk." + module), cls)
    original, left = getattr(owner, name), int(countdown)

    @functools.wraps(original)
    async def wrapped(*args, **kwargs):
        global left
        left -= 1
        mine = left == 0
        if mine and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = await original(*args, **kwargs)
        if mine and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, wrapped)
    from tapewire.risk.__main__ import main
    main()
"""


@pytest.fixture
def process(broker_url: str, database: str, tmp_path: Path, secret: str):
    """``async with process(*arguments) as pid_and_exit:`` runs risk as a process of its own."""
    env = os.environ | {
        "TAPEWIRE_AMQP_URL": broker_url,
        "DATABASE_URL": database,
        "TAPEWIRE_JWT_SECRET": secret,
        "TAPEWIRE_HTTP_PORT": "0",
        "TAPEWIRE_RISK_SHARDS": "2",
        "TAPEWIRE_RISK_TICK_S": "0.05",
        "TAPEWIRE_RISK_STOP_MODE": "halt",
    }

    @asynccontextmanager
    async def run(*arguments: str, **more: str):
        log = (tmp_path / "risk.log").open("ab")
        child = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=env | more, stdout=log, stderr=log
        )
        try:
            yield child
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()
            log.close()

    return run


def told(bus) -> dict[str, list[str]]:
    """What each alert, command and notice said, by kind: ids in order, repeats left out."""
    found: dict[str, list[str]] = collections.defaultdict(list)
    for key, body in bus.seen:
        kind = ".".join(key.split(".")[2:])
        if body["id"] not in found[kind]:
            found[kind].append(body["id"])
    return found


EACH_ONCE = {
    "loss_limit.warning": 1,
    "loss_limit.critical": 1,
    "loss_limit.emergency": 1,
    "command.emergency_stop": 1,
    "emergency_stop.emergency": 1,
}


def counts(bus) -> dict[str, int]:
    return {kind: len(ids) for kind, ids in told(bus).items() if "stop_unconfirmed" not in kind}


@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_a_point_risk_loses_nothing_and_repeats_nothing(
    bus, process, trader, point
):
    place, name, when = POINTS[point]
    hits = {"save": 1, "hear": 1}.get(name, 2)  # a batch may hold the whole story
    script = textwrap.dedent(SUICIDE)
    async with process("-c", script, place, name, when, str(hits)) as child:
        await bus.say(trader.starts(loss_limit=Decimal(1000)), *map(trader.loses, LOSSES))
        async with asyncio.timeout(PATIENCE_S):
            assert await child.wait() == -signal.SIGKILL
    async with process("-m", "tapewire.risk"):
        await bus.until(lambda: counts(bus) == EACH_ONCE, deadline_s=PATIENCE_S)
        other = type(trader)()  # what comes after it came after all else
        await bus.say(other.reports(80), other.reports(80))
        await bus.until(lambda: any(b["userId"] == other.user for _, b in bus.seen), PATIENCE_S)
        bus.seen = [(key, body) for key, body in bus.seen if body["userId"] == trader.user]
    assert counts(bus) == EACH_ONCE
    # what was confirmed and not noted goes out again under its id: one message a lane at most
    repeats = len(bus.seen) - sum(EACH_ONCE.values()) - len(bus.bodies("stop_unconfirmed"))
    assert repeats <= 2
    order = [body["alertLevel"] for body in bus.bodies("loss_limit")]
    assert list(dict.fromkeys(order)) == ["warning", "critical", "emergency"]


@BOTH
async def test_killed_at_random_instants_risk_loses_nothing_and_repeats_nothing(
    bus, process, trader
):
    rng = random.Random(20250303)
    traders = [type(trader)() for _ in range(10)]
    story = [[t.starts(loss_limit=Decimal(1000)), *map(t.loses, LOSSES)] for t in traders]

    async def publish() -> None:
        for step in zip(*story, strict=True):
            await bus.say(*step)
            await asyncio.sleep(rng.uniform(0, 0.2))

    publishing = asyncio.create_task(publish())
    for _ in range(4):
        async with process("-m", "tapewire.risk") as child:
            await asyncio.sleep(rng.uniform(1.5, 3.0))  # a process starts in about 1.5 s
            child.kill()
            await child.wait()
    await publishing
    expected = {kind: count * len(traders) for kind, count in EACH_ONCE.items()}
    async with process("-m", "tapewire.risk"):
        await bus.until(lambda: counts(bus) == expected, deadline_s=PATIENCE_S)
    for one in traders:
        mine = [b for b in bus.bodies("loss_limit") if b["userId"] == one.user]
        order = list(dict.fromkeys(json.dumps([b["id"], b["alertLevel"]]) for b in mine))
        assert [json.loads(o)[1] for o in order] == ["warning", "critical", "emergency"]


# A session's one alert is the first message of risk, its repeat the second.
REPEAT_POINTS = {
    "before the repeat is written": ("work.Work", "put", "before"),
    "before its publish": ("outbox.Publisher", "publish", "before"),
    "after its confirm, before the note": ("stopping.Stopping", "sent", "before"),
}
ONE_REPEAT = {
    "TAPEWIRE_RISK_STOP_MODE": "off",
    "TAPEWIRE_RISK_REPEAT_EMERGENCY_S": "1",
    "TAPEWIRE_RISK_REPEAT_MOST": "1",
}


@pytest.mark.long
@pytest.mark.parametrize("point", REPEAT_POINTS)
async def test_killed_while_it_repeats_an_alarm_risk_repeats_it_exactly_once(
    bus, process, trader, point
):
    place, name, when = REPEAT_POINTS[point]
    script = textwrap.dedent(SUICIDE)
    async with process("-c", script, place, name, when, "2", **ONE_REPEAT) as child:
        await bus.say(trader.reports(120), trader.reports(120))
        async with asyncio.timeout(PATIENCE_S):
            assert await child.wait() == -signal.SIGKILL
    other = type(trader)()
    async with process("-m", "tapewire.risk", **ONE_REPEAT):
        await bus.until(lambda: len(repeats(bus, trader)) == 2, PATIENCE_S)
        await bus.say(other.reports(120), other.reports(120))
        await bus.until(lambda: len(repeats(bus, other)) == 2, PATIENCE_S)
    assert list(repeats(bus, trader).values()) == [None, 1]


def repeats(bus, trader) -> dict[str, int | None]:
    """A user's alerts: id → repeat, in order."""
    mine = [body for _, body in bus.seen if body["userId"] == trader.user]
    return {body["id"]: body.get("repeat") for body in mine}
