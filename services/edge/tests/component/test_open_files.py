"""An edge takes as many connections as it may open files, whatever a shell's soft limit says."""

import psutil


async def test_soft_limit_is_raised_and_who_has_no_room_is_sent_elsewhere(world):
    process, edge = await world.edge_process(open_files=(100, 260))
    limits = psutil.Process(process.pid).rlimit(psutil.RLIMIT_NOFILE)
    assert limits == (260, 260)
    clients = [await world.client(edge, f"user-{number}") for number in range(4)]
    late = await world.open(edge)
    assert await late.closed() == 4005
    await clients[0].round_trip()
    await clients[0].socket.close()
    again = await world.client(edge, "user-late")
    await again.round_trip()
