"""A program's own inbox goes to another edge while what the last one held is still on its way back.

The cancellation and what follows it leave an edge in one piece. A network may part them all the
same; the tests do so by keeping what is behind the cancellation.
"""

from collections.abc import Callable

import pytest

from tapewire.edge.mailbox import handover, succession
from tapewire.edge.mailbox.state import State

INBOX = "inbox.alice.bot"
QUERY = "?clientId=bot&inbox=own"
HELD = 4

FRAME_HEAD = 7  # type, channel and size; behind the payload is one octet more
METHOD = slice(FRAME_HEAD, FRAME_HEAD + 4)
CANCEL = b"\x00\x3c\x00\x1e"  # basic.cancel


@pytest.fixture
def patient(monkeypatch):
    """Nobody gives a holder's end up before it came."""
    monkeypatch.setattr(succession, "SUCCEED_WITHIN_S", 3600.0)
    monkeypatch.setattr(handover, "LEFT_WITHIN_S", 3600.0)


def part(edge) -> Callable[[], None]:
    """Have an edge's next cancellation reach the broker, and all behind it when this is called."""
    wire = edge.app.state.lines._lines[INBOX].lane._tap._wire
    write, kept = wire.write, bytearray()

    def parted(data: bytes) -> None:
        if kept:
            kept.extend(data)
        elif data[METHOD] == CANCEL:
            end = FRAME_HEAD + int.from_bytes(data[3:FRAME_HEAD]) + 1
            write(data[:end])
            kept.extend(data[end:])
        else:
            write(data)

    def go_on() -> None:
        wire.write = write
        write(bytes(kept))

    wire.write = parted
    return go_on


async def holding(world):
    """An edge with a program that was shown what its inbox has, and another edge."""
    first, second = await world.edge(), await world.edge()
    bot = await world.client(first, query=QUERY)
    raised = [await world.alert(n) for n in range(HELD)]
    assert await bot.ids(HELD) == raised
    return first, second, bot, raised


async def test_program_that_moves_is_shown_nothing_new_before_what_the_last_edge_gives_back(
    world, patient
):
    first, second, _, raised = await holding(world)
    go_on = part(first)
    bot = await world.client(second, query=QUERY)
    line = second.app.state.lines._lines[INBOX]
    await world.until(lambda: line.tray.state is State.OPEN)
    raised.append(await world.alert(HELD))
    await world.until(lambda: line.tray.is_holder)
    await bot.quiet()
    go_on()
    assert await bot.ids(HELD + 1) == raised


async def test_program_that_left_and_comes_back_elsewhere_meanwhile_is_shown_all_in_order(
    world, patient
):
    """Nobody consumes its inbox when the other edge looks."""
    first, second, bot, raised = await holding(world)
    go_on = part(first)
    await bot.socket.close()
    await world.consumers_gone(INBOX)
    bot = await world.client(second, query=QUERY)
    line = second.app.state.lines._lines[INBOX]
    await world.until(lambda: line.tray.predecessor.node != "")
    raised.append(await world.alert(HELD))
    await world.until(lambda: line.tray.is_holder)
    await bot.quiet()
    go_on()
    assert await bot.ids(HELD + 1) == raised
