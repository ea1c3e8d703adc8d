import asyncio

from tapewire.broker import cancelled


async def test_a_loop_that_loses_a_cancellation_ends_all_the_same():
    lost = 0

    async def loop():
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
                if lost == 3:
                    raise

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await cancelled(task)
    assert task.cancelled()
    assert lost == 3


async def test_what_a_task_raises_at_its_end_is_nobodys_affair():
    async def fails():
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("gone")

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await cancelled(task)
    await cancelled(task)
    await cancelled(None)
    assert task.done()
