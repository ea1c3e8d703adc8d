import asyncio

from tapewire.edge.transport.frames import Joined, Message
from tapewire.edge.transport.inward import Inward


async def test_messages_come_out_in_order_also_to_a_reader_who_waits():
    inward = Inward()
    waiting = asyncio.create_task(inward.get())
    await asyncio.sleep(0)
    inward.put_nowait(1)
    inward.put_nowait(2)
    assert (await waiting, await inward.get()) == (1, 2)
    assert inward.empty()


async def test_a_reader_who_was_cancelled_loses_no_message():
    inward = Inward()
    waiting = asyncio.create_task(inward.get())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    inward.put_nowait(1)
    assert await inward.get() == 1


def test_messages_that_are_joined_are_the_frames_one_after_the_other():
    messages = [Message(b'{"n":%d,"text":"%s"}' % (n, b"x" * 400)) for n in range(3)]
    joined = Joined(messages)
    assert joined.plain == b"".join(message.plain for message in messages)
    assert joined.deflated(in_a_row=False) == b"".join(message.deflated for message in messages)
    assert len(joined.deflated(in_a_row=False)) < len(joined.plain)
