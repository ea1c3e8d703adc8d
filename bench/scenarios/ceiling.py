"""The load generator's own ceiling, against a sink that does nothing but send."""

import asyncio
import sys
from typing import Final

from bench import payload
from bench.crowd import Crowd
from bench.figures import Figure
from bench.machine import CpuClock
from bench.peers.lines import LineFed
from bench.scenarios.scenario import Options, Scenario
from bench.servers import free_port, server


async def run(options: Options) -> list[Figure]:
    """Measure how many messages the swarm can count in a second, one or twenty to a write."""
    found: list[Figure] = []
    for joined in (1, 20):
        port = free_port()
        argv = (sys.executable, "-m", "bench.scenarios.ceiling", str(port), str(joined))
        async with server(argv, port) as sink, Crowd() as crowd:
            hub = LineFed("sink", sink.pid, port)
            await crowd.open(port, hub.scripts(options.connections))
            await asyncio.sleep(0.5)
            await crowd.reset()
            runs: list[float] = []
            swarm: list[float] = []
            clock = CpuClock(sink.pid)
            before = await crowd.tell()
            for _ in range(options.runs):
                await asyncio.sleep(options.seconds)
                now = await crowd.tell()
                runs.append((now.total - before.total) / (now.at - before.at))
                swarm.append((now.total - before.total) / (now.cpu_s - before.cpu_s))
                before = now
            cpu_s, wall_s = clock.lap()
        name = f"generator's ceiling, {joined} to a write"
        notes = {
            "per_cpu_s_of_generator": round(sorted(swarm)[len(swarm) // 2]),
            "sink_busy": round(cpu_s / wall_s, 2),
        }
        found.append(Figure(name, "messages/s", tuple(runs), notes=notes))
    return found


def sink() -> None:
    """Greet connections, then write to them for ever: raw sockets, one prebuilt frame."""
    import select
    import socket

    from tapewire.edge.transport.frames import TEXT, frame

    port, joined = int(sys.argv[1]), int(sys.argv[2])
    data = frame(TEXT, payload.status()) * joined
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    listener.setblocking(False)
    hello = b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + frame(TEXT, b"ready")
    clients: list[socket.socket] = []
    greeted: set[int] = set()
    poll = select.epoll()
    poll.register(listener.fileno(), select.EPOLLIN)
    while True:
        while poll.poll(0 if greeted else -1):
            client, _ = listener.accept()
            if not client.recv(4096):  # a probe
                client.close()
                continue
            client.setblocking(False)
            client.send(hello)
            clients.append(client)
            greeted.add(client.fileno())
        for client in list(clients):
            try:
                client.send(data)
            except BlockingIOError:
                continue
            except OSError:
                clients.remove(client)


CEILING: Final = Scenario("ceiling", "both", run)

if __name__ == "__main__":
    sink()
