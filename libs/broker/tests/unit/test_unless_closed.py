import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tapewire.broker import unless_closed


@pytest.fixture
async def channel() -> Any:
    """What `unless_closed` looks at: a queue with place for one frame, and a future."""
    return cast(
        "Any",
        SimpleNamespace(
            write_queue=asyncio.Queue(1), closing=asyncio.get_running_loop().create_future()
        ),
    )


async def test_who_waits_for_a_place_in_a_lost_connections_queue_is_let_go(channel: Any) -> None:
    channel.write_queue.put_nowait("never taken")
    saying = asyncio.create_task(unless_closed(channel, channel.write_queue.put("ack")))
    await asyncio.sleep(0)
    assert not saying.done()
    channel.closing.set_result(None)
    await asyncio.wait_for(saying, 5)
    assert channel.write_queue.qsize() == 1


async def test_who_waits_is_heard_once_there_is_place(channel: Any) -> None:
    channel.write_queue.put_nowait("first")
    saying = asyncio.create_task(unless_closed(channel, channel.write_queue.put("second")))
    await asyncio.sleep(0)
    assert channel.write_queue.get_nowait() == "first"
    await asyncio.wait_for(saying, 5)
    assert channel.write_queue.get_nowait() == "second"


async def test_what_goes_wrong_is_told(channel: Any) -> None:
    async def fail() -> None:
        raise OSError("gone")

    channel.write_queue.put_nowait("first")
    with pytest.raises(OSError, match="gone"):
        await unless_closed(channel, fail())
