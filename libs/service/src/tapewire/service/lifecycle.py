"""Components of a service and the phases they go through together."""

import asyncio
import logging
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

log = logging.getLogger(__name__)

STOP_DEADLINE_S = 10.0  # a component that hangs here must not keep the others from closing


class Component(Protocol):
    """A part of a service that runs: a link, a consumer, a database, a set of sockets."""

    @property
    def name(self) -> str:
        """Name in `/readyz` and in logs, such as `consumer:ingest.inbox`."""
        ...

    async def start(self) -> None:
        """Begin to work. Does not wait for a broker that is away; raises when it never can."""
        ...

    async def drain(self) -> None:
        """Take nothing new and finish what was begun. Cancelled at the drain deadline."""
        ...

    async def stop(self) -> None:
        """Release everything. Called once, after `drain`, also when that was cut short."""
        ...

    def health(self) -> str | None:
        """Return None when ready, else the reason in a few words."""
        ...


class Phase(StrEnum):
    """Where a service is in its life."""

    NEW = "new"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.NEW: frozenset({Phase.STARTING}),
    Phase.STARTING: frozenset({Phase.READY, Phase.STOPPED}),
    Phase.READY: frozenset({Phase.DRAINING}),
    Phase.DRAINING: frozenset({Phase.STOPPED}),
    Phase.STOPPED: frozenset({Phase.STARTING}),
}


class Lifecycle:
    """Starts components in order; drains and stops them in reverse.

    Users come last in the list: `[link, publisher, consumer, sockets]`, so that what accepts
    work drains before what it works with.
    """

    def __init__(self, components: Sequence[Component], *, drain_timeout_s: float) -> None:
        self._components = tuple(components)
        self._drain_timeout_s = drain_timeout_s
        self._started: list[Component] = []
        self._drained: asyncio.Task[None] | None = None
        self.phase = Phase.NEW

    def _enter(self, phase: Phase) -> None:
        if phase not in TRANSITIONS[self.phase]:
            raise RuntimeError(f"{self.phase} → {phase} is no transition of a service")
        self.phase = phase

    async def start(self) -> None:
        """Start every component; when one fails, stop the others and raise its error."""
        self._enter(Phase.STARTING)
        self._drained = None
        for component in self._components:
            self._started.append(component)
            try:
                await component.start()
            except BaseException:
                log.error("component did not start", extra={"component": component.name})
                await self._stop_all()
                raise
        self._enter(Phase.READY)

    async def drain(self) -> None:
        """Drain every component, the last started first, within one deadline for all.

        May be called more than once: later callers wait for the first.
        """
        if self._drained is None:
            self._enter(Phase.DRAINING)
            self._drained = asyncio.create_task(self._drain_all(), name="drain")
        await asyncio.shield(self._drained)

    async def _drain_all(self) -> None:
        log.info("draining", extra={"deadline_s": self._drain_timeout_s})
        current = ""
        try:
            async with asyncio.timeout(self._drain_timeout_s):
                for component in reversed(self._started):
                    current = component.name
                    try:
                        await component.drain()
                    except Exception:
                        log.exception("drain failed", extra={"component": current})
        except TimeoutError:
            log.warning("drain deadline passed", extra={"component": current})
        else:
            log.info("drained")

    async def stop(self) -> None:
        """Drain if nobody did, then stop every component, the last started first."""
        await self.drain()
        await self._stop_all()

    async def _stop_all(self) -> None:
        while self._started:
            component = self._started.pop()
            try:
                async with asyncio.timeout(STOP_DEADLINE_S):
                    await component.stop()
            except Exception:
                log.exception("stop failed", extra={"component": component.name})
        self._enter(Phase.STOPPED)

    def checks(self) -> dict[str, str]:
        """Return what each component says: `ok` or the reason it is not ready."""
        found: dict[str, str] = {}
        if self.phase is not Phase.READY:
            found["service"] = self.phase.value
        for component in self._components:
            found[component.name] = component.health() or "ok"
        return found

    @property
    def ready(self) -> bool:
        """True when work may be sent here."""
        return all(answer == "ok" for answer in self.checks().values())
