"""Who is there during a campaign: publishers, users, their devices, and the cables between."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from aiormq.exceptions import AMQPError
from engines import Fleet
from engines.fleet import EDGES

from faults.audit import Device
from faults.book import Book
from faults.cluster import ClusterFleet
from faults.devices import Came, ProcessDevice, RawDevice, SdkDevice
from faults.node_devices import NodeDevice, missing
from faults.publishers import Publisher
from faults.sessions import Sessions
from faults.target import Target
from tapewire.broker import topology
from tapewire.fleet.cable import Cable

OPEN_AT_MOST = 24  # RabbitMQ 3.10 keeps 32 in order that are given back while new ones come (ADR 7)
FLAPPING_S = (
    30.0  # a round has several such users; whoever gets no welcome in 50 ms gets fewer alerts
)
EVERY_S = 0.8  # between two alerts of a publisher for a user
SESSION_EVERY_S = 4.0  # between two sessions of a user that reach their limit


@dataclass(frozen=True)
class Role:
    """A device of each user of a sort. `more`: arguments of its kind."""

    kind: type[Came]
    user: str
    name: str
    own: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)


FLAPPER = Role(RawDevice, "flapper", "raw", more={"manner": "flapping"})
CAST = (
    Role(SdkDevice, "pair", "phone"),
    Role(SdkDevice, "pair", "desk"),
    Role(SdkDevice, "mixed", "sdk"),
    Role(RawDevice, "mixed", "raw"),
    FLAPPER,
    Role(RawDevice, "staller", "raw", more={"manner": "stalling"}),
    Role(SdkDevice, "staller", "sdk"),
    Role(ProcessDevice, "killed", "program"),
    Role(SdkDevice, "botted", "person"),
    Role(SdkDevice, "botted", "bot", own=True),
)
CAMPAIGN_CAST = (
    *CAST,
    Role(SdkDevice, "office", "stream", more={"way": "sse"}),
    Role(SdkDevice, "office", "polls", own=True, more={"way": "long-poll"}),
    Role(NodeDevice, "node", "page"),
    Role(NodeDevice, "node", "program", own=True, more={"way": "sse"}),
)
LONER = Role(RawDevice, "loner", "raw")
"""Comes only to settle; gets no alerts but those that a strike publishes."""
NEWCOMER = Role(RawDevice, "new", "raw")
"""A user whom the fleet sees for the first time, one in each round."""


class World:
    """The load on a fleet.

    Args:
        directory: for the devices' stores and logs.
        name: makes its users different from those of other campaigns on the same fleet.
        crowd: how many users of each sort.
        cast: the sorts.
    """

    def __init__(
        self,
        fleet: Fleet,
        directory: Path,
        *,
        name: str,
        seed: int,
        crowd: int = 2,
        cast: Sequence[Role] = CAST,
    ) -> None:
        self.fleet = fleet
        self.target = Target(fleet)
        self.book = Book()
        self.rng = Random(seed)
        self.stay = asyncio.Event()
        self.client_cables: list[Cable] = []
        self.publishers: list[Publisher] = []
        self.processes: list[ProcessDevice] = []
        self._directory = directory
        self._name = name
        self._crowd = crowd
        self._cast = [role for role in cast if role.kind is not NodeDevice or not missing()]
        if len(self._cast) < len(cast):
            print(f"NOT TESTED: the TypeScript SDK: {missing()}", file=sys.stderr)
        self._urls: list[str] = []
        self._living: list[asyncio.Task[None]] = []
        self._newcomers = 0

    async def open(self) -> None:
        """Bring everybody in; return when those with an inbox of their own have it."""
        for edge in EDGES:
            cable = Cable(self.fleet.url(edge))
            self._urls.append((await cable.start()).rstrip("/").replace("http", "ws", 1) + "/ws")
            self.client_cables.append(cable)
        self.producers_cable = Cable(self.fleet.amqp_url("producer"))
        amqp = await self.producers_cable.start()
        if isinstance(self.fleet, ClusterFleet):
            amqp = self.fleet.amqp_urls("producer")
        token = self.fleet.token("publisher", scopes=["events:write"], ttl_s=7200)
        for name, url in (("amqp", amqp), ("http", self.fleet.url("ingest"))):
            publisher = Publisher(self.book, name, url, self.rng, token=token, every_s=EVERY_S)
            await publisher.open()
            self.publishers.append(publisher)
        if not isinstance(self.fleet, ClusterFleet):  # that has no risk
            every_s = SESSION_EVERY_S
            sessions = Sessions(self.book, "risk", amqp, self.rng, token=None, every_s=every_s)
            await sessions.open()
            self.publishers.append(sessions)
        everybody = [self._add(role, n) for n in range(self._crowd) for role in self._cast]
        self.processes = [device for device in everybody if isinstance(device, ProcessDevice)]
        self._steady = {device.device.user for device in everybody}
        for device in everybody:
            self._live(device)
        own = [device for device in everybody if device.device.own]
        self.loner = self._add(LONER, 0)
        self._loner_task: asyncio.Task[None] | None = None
        async with asyncio.timeout(60):
            await asyncio.gather(*(device.connected.wait() for device in own))

    def _add(self, role: Role, number: int) -> Came:
        user = f"{self._name}-{role.user}{number}"
        device = Device(
            f"{user}-{role.name}",
            user,
            remembers=role.kind is not RawDevice,
            own=role.own,
            unseen=role is NEWCOMER,
        )
        urls = self._urls[:]
        self.rng.shuffle(urls)
        more = dict(role.more)
        if role.kind is not RawDevice:
            more["directory"] = self._directory
        rng = Random(self.rng.random())
        return role.kind(self.book, device, urls, lambda: self._token(user), self.stay, rng, **more)

    def _token(self, user: str) -> str:
        return self.fleet.token(user, ttl_s=7200)

    def _live(self, device: Came) -> None:
        self._living.append(asyncio.create_task(device.live()))

    # A round

    def begin(self) -> None:
        """Let devices come and go, and publish to everybody, and to somebody never seen."""
        self.stay.clear()
        self._newcomers += 1
        late = self._add(NEWCOMER, self._newcomers)
        asyncio.get_running_loop().call_later(self.rng.uniform(1, 4), lambda: self._live(late))
        users = [user for user in self.book.users if user != self.loner.device.user]
        users = [u for u in users if u in self._steady or u == late.device.user]
        for publisher in self.publishers:
            publisher.start(users)

    async def newcomer(self, rng: Random, *, alerts: int) -> None:
        """Raise alerts, one upon another, for a user never seen, who connects meanwhile."""
        self._newcomers += 1
        late = self._add(NEWCOMER, self._newcomers)
        asyncio.get_running_loop().call_later(rng.uniform(0, 1.0), lambda: self._live(late))
        publisher = rng.choice(self.publishers)
        for _ in range(alerts):
            await publisher.publish(late.device.user)

    async def flapper(self, rng: Random, *, alerts: int) -> None:
        """Raise alerts for somebody whose connection does not last, as many as can be open.

        Once they were welcomed: before, it would be a user never seen.
        """
        self._newcomers += 1
        device = self._add(FLAPPER, self._newcomers)
        self._live(device)
        publisher = rng.choice(self.publishers)
        with suppress(TimeoutError):
            async with asyncio.timeout(FLAPPING_S):
                await device.connected.wait()
                for _ in range(alerts):
                    await publisher.publish(device.device.user)
                    while self.book.open_of(device.device.user) >= OPEN_AT_MOST:
                        await asyncio.sleep(0.01)

    async def hush(self, *, deadline_s: float) -> None:
        """Publish no more; return when what was begun is confirmed, or the deadline has passed."""
        await asyncio.gather(*(publisher.finish(deadline_s) for publisher in self.publishers))

    async def settle(self, mark: int, *, deadline_s: float) -> None:
        """Publish no more, have everybody stay, and wait until all is handled, or the deadline."""
        loop = asyncio.get_running_loop()
        await self.hush(deadline_s=deadline_s)
        until = loop.time() + deadline_s  # from here: a publisher may have needed as long
        self.stay.set()
        if self._loner_task is None:
            self._loner_task = asyncio.create_task(self.loner.live())
        while loop.time() < until:
            for process in self.processes:
                process.collect()
            if not self.book.open_since(mark):
                break
            await asyncio.sleep(0.1)
        self._loner_task.cancel()
        await asyncio.gather(self._loner_task, return_exceptions=True)
        self._loner_task = None

    async def broker_back(self, *, deadline_s: float = 90.0) -> None:
        """Return when the broker answers and every service is ready again."""
        loop = asyncio.get_running_loop()
        until = loop.time() + deadline_s
        while loop.time() < until:
            with suppress(AMQPError, OSError, TimeoutError):
                await self.target.depths(["dead"])
                break
            await asyncio.sleep(0.2)
        await self.fleet.until_ready(timeout_s=max(1.0, until - loop.time()))

    # The end

    async def leave(self) -> None:
        """Everybody leaves; what nobody acknowledged is back in its inbox after it."""
        for task in self._living:
            task.cancel()
        results = await asyncio.gather(*self._living, return_exceptions=True)
        for process in self.processes:
            process.collect()
        for cable in self.client_cables:
            cable.cut()
        self._living = []
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def close(self) -> None:
        """Let go of everything."""
        try:
            await self.leave()
        finally:
            for publisher in self.publishers:
                await publisher.close()
            for cable in (*self.client_cables, self.producers_cable):
                await cable.stop()

    @property
    def queues(self) -> list[str]:
        """The queues that must be empty at the end."""
        shared = [topology.inbox(user).name for user in self.book.users]
        own = [
            topology.own_inbox(device.user, device.name).name
            for device in self.book.devices
            if device.own
        ]
        return [*shared, *own, *self.shared, "ingest.inbox"]

    shared = ("dead", "mailroom")
    """What others may have left there before is not of this campaign."""
