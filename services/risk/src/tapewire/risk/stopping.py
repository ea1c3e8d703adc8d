"""Emergency stops from request to release: decided in ``stops``, written here."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic

from tapewire.contracts import EmergencyStopAcknowledged, EmergencyStopRequested, StopMode
from tapewire.risk.outgoing import to_clients, to_executors
from tapewire.risk.settings import RuleStopMode
from tapewire.risk.stops import (
    Stop,
    StopSignal,
    StopState,
    move,
    order_of,
    stop_id,
    unconfirmed_of,
)
from tapewire.risk.store import Store
from tapewire.risk.waiting import Waiting
from tapewire.risk.watch import RuleAlarm
from tapewire.risk.work import Work
from tapewire.service import metrics

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Return the time by our clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class StopPolicy:
    """What an emergency of a rule does, and how long an executor may stay silent."""

    mode: RuleStopMode = "shadow"
    rules: Collection[str] = ("loss_limit",)
    ack_deadline_s: float = 5.0


class Stopping:
    """The use cases of emergency stops.

    Args:
        store: where the state is.
        policy: what emergencies do.
        on_outgoing: called after a commit that put something into the outbox.
        clock: our clock.
        steady: seconds of a clock that only runs.
    """

    def __init__(
        self,
        store: Store,
        policy: StopPolicy,
        *,
        on_outgoing: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] = utc_now,
        steady: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._policy = policy
        self._on_outgoing = on_outgoing
        self._clock = clock
        self._steady = steady
        self._waiting = Waiting(policy.ack_deadline_s)

    async def request(
        self, user: str, session: str, *, key: str, by: str, mode: StopMode, reason: str
    ) -> Stop:
        """Order a session to stop; the same ``key`` again returns the same stop."""
        async with self._store.work() as work:
            stop = await self._request(
                work, user, session, key=key, by=by, mode=mode, reason=reason
            )
        self._committed(work)
        return stop

    async def hear_request(self, event: EmergencyStopRequested) -> None:
        """As ``request``, for a person's request that came through ``ingest``."""
        by = event.requested_by or f"user:{event.user_id}"
        await self.request(
            event.user_id,
            event.session_id,
            key=event.idempotency_key,
            by=by,
            mode=event.mode,
            reason=event.reason or f"Asked for by {by}",
        )

    async def hear_executor(self, event: EmergencyStopAcknowledged) -> None:
        """Apply an executor's word to the stop it names, or to the session's newest."""
        now = self._clock()
        async with self._store.work() as work:
            stops = await work.stops_of(event.user_id, event.session_id)
            named = [s for s in stops if event.stop_id in (None, s.id)]
            live = [s for s in named if s.state not in (StopState.SHADOW, StopState.RELEASED)]
            if not live:
                log.warning("word on a stop that is not known", extra={"stop": event.stop_id})
                return
            after = self._move(live[-1], StopSignal(event.state), now)
            await work.save_stop(replace(after, executor=event.executor or after.executor))

    async def sent(self, seq: int, stop: str | None) -> None:
        """Note that the broker has a message; a stop's order to executors is dispatched by it."""
        now = self._clock()
        async with self._store.work() as work:
            await work.mark_sent(seq, now)
            if stop is not None and (known := await work.stop(stop)) is not None:
                await work.save_stop(self._move(known, StopSignal.DISPATCH, now))

    async def look(self) -> None:
        """Raise `stop_unconfirmed` for each stop that no executor answered in time."""
        dispatched = await self._store.dispatched_stops()
        for stop in self._waiting.overdue(dispatched, wall=self._clock(), steady=self._steady()):
            await self._expire(stop)

    async def _expire(self, stop: str) -> None:
        now = self._clock()
        async with self._store.work() as work:
            known = await work.stop(stop)
            if known is None or known.state is not StopState.DISPATCHED:
                return  # answered meanwhile, or another process was quicker
            after = self._move(known, StopSignal.TIMEOUT, now)
            await work.save_stop(after)
            alert = unconfirmed_of(after, now, ack_deadline_s=self._policy.ack_deadline_s)
            await work.put(to_clients(alert), now)
        metrics.counter(metrics.ALERTS).add(1, {"rule": "stop_unconfirmed", "level": "emergency"})
        self._committed(work)

    async def by_rule(
        self, work: Work, user: str, session: str, alarm: RuleAlarm, *, alert_id: str
    ) -> None:
        """Do what the policy says of a rule's emergency, within the transaction that raised it."""
        mode = self._policy.mode
        if mode == "off" or alarm.rule not in self._policy.rules:
            return
        await self._request(
            work,
            user,
            session,
            key=alert_id,
            by=f"rule:{alarm.rule}",
            mode="halt" if mode == "shadow" else mode,
            reason=alarm.words,
            shadow=mode == "shadow",
        )

    async def release(
        self, work: Work, user: str, session: str, *, by: str, reason: str
    ) -> list[Stop]:
        """Release a session's stops within the caller's transaction; return them."""
        released: list[Stop] = []
        for stop in await work.stops_of(user, session):
            moved = self._move(stop, StopSignal.RELEASE, self._clock())
            if moved is not stop:
                moved = replace(moved, released_by=by, release_reason=reason)
                await work.save_stop(moved)
                released.append(moved)
        return released

    async def _request(
        self,
        work: Work,
        user: str,
        session: str,
        *,
        key: str,
        by: str,
        mode: StopMode,
        reason: str,
        shadow: bool = False,
    ) -> Stop:
        id_ = stop_id(user, session, key)
        if (known := await work.stop(id_)) is not None:
            return known
        now = self._clock()
        state = StopState.SHADOW if shadow else StopState.REQUESTED
        stop = Stop(id_, user, session, state, mode, reason, by, now)
        await work.save_stop(stop)
        _count(stop)
        log.warning("emergency stop", extra={"stop": id_, "mode": mode, "state": state, "by": by})
        if not shadow:
            order = order_of(stop)
            await work.put(to_executors(order), now)
            await work.put(to_clients(order), now)
        return stop

    def _move(self, stop: Stop, signal: StopSignal, now: datetime) -> Stop:
        after = move(stop, signal, now, ack_deadline_s=self._policy.ack_deadline_s)
        if after is not stop:
            _count(after)
        return after

    def _committed(self, work: Work) -> None:
        if work.put_out:
            self._on_outgoing()


def _count(stop: Stop) -> None:
    metrics.counter(metrics.STOPS).add(1, {"mode": stop.mode, "state": stop.state.value})
