"""Several processes behind one port."""

import asyncio
import os
import signal
import sys
from contextlib import suppress

import httpx
import psutil

from .conftest import SECRET, Edge, ended, free_port

# A parent and its workers import the application, two seconds of CPU for each, before anything can
# be seen of them; on two cores where other tests do the same that has taken a minute.
STARTED_WITHIN_S = 150.0
ENDED_WITHIN_S = 60.0


async def workers_of(world, count):
    port = free_port()
    environment = os.environ | {
        "TAPEWIRE_AMQP_URL": world.amqp_url,
        "TAPEWIRE_JWT_SECRET": SECRET,
        "TAPEWIRE_HTTP_PORT": str(port),
        "TAPEWIRE_INBOX_QUEUE_TYPE": world.queue_type,
        "TAPEWIRE_EDGE_DRAIN_WINDOW_S": "0.2",
        "TAPEWIRE_LOG_LEVEL": "ERROR",
    }
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tapewire.edge", "--workers", str(count)), env=environment
    )
    world.stack.push_async_callback(ended, parent)
    return parent, Edge(f"http://127.0.0.1:{port}", None)


async def until_there_are(world, edge, count):
    """Wait until so many workers are ready, as `/metrics` tells."""
    async with httpx.AsyncClient(timeout=60) as http:

        async def all_there() -> bool:
            with suppress(httpx.HTTPError):
                text = (await http.get(edge.http + "/metrics")).text
                up = 'tapewire_broker_up{worker="'
                found = {line[len(up)] for line in text.splitlines() if line.startswith(up)}
                return len(found) == count
            return False

        await world.until_async(all_there, timeout_s=STARTED_WITHIN_S)


async def test_workers_serve_one_port_and_come_back_and_drain(world):
    parent, edge = await workers_of(world, 2)
    await until_there_are(world, edge, 2)
    clients = [await world.client(edge, f"user-{number}") for number in range(24)]
    await world.alert("1", user="user-3")
    assert (await clients[3].next("risk_alert"))["id"] == "critical-1"

    processes = psutil.Process(parent.pid).children()
    assert len(processes) == 2
    held = [len(process.net_connections("tcp")) for process in processes]
    assert min(held) > 5, "the kernel gave every connection to one worker"

    processes[0].send_signal(signal.SIGKILL)
    await world.until(
        lambda: len(psutil.Process(parent.pid).children()) == 2, timeout_s=STARTED_WITHIN_S
    )
    await until_there_are(world, edge, 2)
    late = await world.client(edge, "user-late")

    parent.send_signal(signal.SIGTERM)
    assert await late.closed(timeout_s=ENDED_WITHIN_S) == 4000
    assert await asyncio.wait_for(parent.wait(), ENDED_WITHIN_S) == 0


async def test_a_parent_that_is_killed_takes_its_workers_along(world):
    parent, edge = await workers_of(world, 2)
    await until_there_are(world, edge, 2)
    processes = psutil.Process(parent.pid).children()
    parent.kill()
    await parent.wait()
    await world.until(lambda: not any(map(_runs, processes)), timeout_s=ENDED_WITHIN_S)


async def test_settings_that_are_wrong_end_all_workers(world):
    taken = await world.edge()
    environment = os.environ | {
        "TAPEWIRE_AMQP_URL": world.amqp_url,
        "TAPEWIRE_JWT_SECRET": SECRET,
        "TAPEWIRE_HTTP_PORT": taken.http.rpartition(":")[2],
        "TAPEWIRE_LOG_LEVEL": "ERROR",
    }
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tapewire.edge", "--workers", "2"), env=environment
    )
    world.stack.push_async_callback(ended, parent)
    assert await asyncio.wait_for(parent.wait(), STARTED_WITHIN_S) == 3


def _runs(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it went between the two questions
        return False


async def test_a_worker_whose_parent_went_while_it_was_starting_does_not_stay(world, tmp_path):
    environment = os.environ | {
        "TAPEWIRE_AMQP_URL": world.amqp_url,
        "TAPEWIRE_JWT_SECRET": SECRET,
        "TAPEWIRE_HTTP_PORT": str(free_port()),
        "TAPEWIRE_EDGE_WORKER": "0",
        "TAPEWIRE_EDGE_SIBLINGS": str(tmp_path),
        "TAPEWIRE_EDGE_PARENT": "1",
    }
    orphan = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tapewire.edge"), env=environment
    )
    world.stack.push_async_callback(ended, orphan)
    assert await asyncio.wait_for(orphan.wait(), STARTED_WITHIN_S) == 3
