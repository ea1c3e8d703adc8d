"""Watching sessions: each use case decides in pure code and writes all of it in one transaction."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

from opentelemetry.trace import SpanKind

from tapewire.contracts import AlertAcknowledged, SessionEvent, SystemNotification
from tapewire.risk.alerts import acknowledge, alert_of, make_id
from tapewire.risk.episode import Level
from tapewire.risk.outgoing import to_clients
from tapewire.risk.rules import RuleName
from tapewire.risk.session import Limits, Session, hear
from tapewire.risk.stopping import Stopping, utc_now
from tapewire.risk.stops import Stop
from tapewire.risk.store import Store
from tapewire.risk.watch import RuleAlarm, Watch, due_at, judge, release, remind
from tapewire.risk.work import EventKey, Work
from tapewire.service import metrics, telemetry

log = logging.getLogger(__name__)


Trace: TypeAlias = Mapping[str, Any]
"""AMQP headers, of which the trace context counts."""


@dataclass(frozen=True, slots=True)
class Released:
    """What a release did: the rules whose latch it opened, the stops that are over."""

    rules: tuple[RuleName, ...]
    stops: tuple[Stop, ...]


class Engine:
    """Applies events, the clock's passing and people's orders to the stored sessions.

    Args:
        store: where the state is.
        watch: numbers that hold for every session.
        stopping: what follows from emergencies.
        on_outgoing: called after a commit that put something into the outbox.
        clock: our clock; what is judged by a session's own time does not look at it.
    """

    def __init__(
        self,
        store: Store,
        watch: Watch,
        stopping: Stopping,
        *,
        on_outgoing: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._watch = watch
        self._stopping = stopping
        self._on_outgoing = on_outgoing
        self._clock = clock

    async def hear(
        self, events: Sequence[SessionEvent], traces: Sequence[Trace] = ()
    ) -> Collection[Session]:
        """Apply events in order, in one transaction; what was applied before is passed over.

        Returns the sessions as they are now.

        ``traces``: the AMQP headers of each event, for what follows from it.
        """
        now = self._clock()
        raised: list[RuleAlarm] = []
        async with self._store.work() as work:
            sessions = await work.sessions({(e.user_id, e.session_id) for e in events}, now)
            fresh = await work.note(dict.fromkeys(map(_key, events)), now)
            touched = {key[:2] for key in fresh}
            for n, event in enumerate(events):
                if (key := _key(event)) not in fresh:
                    continue
                fresh.remove(key)  # a repetition among these is passed over too
                if isinstance(event, AlertAcknowledged):  # a person's word: no session's time in it
                    sessions[key[:2]] = acknowledge(sessions[key[:2]], event.alert_ids)
                    continue
                heard, mark = hear(sessions[key[:2]], event, now)
                session, alarms = judge(heard, heard.at or now, self._watch, now=now, mark=mark)
                sessions[key[:2]] = session
                if alarms:
                    with telemetry.span(
                        "risk.alarm", headers=traces[n] if traces else {}, kind=SpanKind.CONSUMER
                    ):
                        await self._tell(work, session, alarms, now)
                    raised += alarms
            await work.save([self._due(sessions[key]) for key in touched], now)
        self._committed(work, raised)
        return sessions.values()

    async def look(
        self, user: str, session: str, *, blind: bool = False, deaf: bool = False
    ) -> None:
        """Look at the clock for a session.

        ``blind``: silence may be our own fault. ``deaf``: so may be that of whoever acknowledges.
        """
        now = self._clock()
        async with self._store.work() as work:
            known = await work.session(user, session)
            at = known.time(now) if known else None
            if known is None or at is None:
                return
            after, raised = judge(known, at, self._watch, now=now, blind=blind)
            if not deaf:
                after, again = remind(after, at, self._watch, now=now)
                raised += again
            await self._tell(work, after, raised, now)
            await work.save([self._due(after)], now)
        self._committed(work, raised)

    async def set_limits(
        self, user: str, session: str, decide: Callable[[Session], Limits], *, by: str
    ) -> Session:
        """Impose limits on a session; they go before what it announced.

        ``decide`` sees the session as it is and may raise: then nothing changes. What the new
        limits mean is found out by the next look at the clock.
        """
        now = self._clock()
        async with self._store.work() as work:
            known = (await work.sessions([(user, session)], now))[user, session]
            after = replace(known, imposed=decide(known), imposed_by=by)
            watched = after.at is not None and not after.closed
            await work.save([(after, now if watched else due_at(after, self._watch))], now)
        log.info("limits set", extra={"by": by})
        return after

    async def release(self, user: str, session: str, *, by: str, reason: str) -> Released:
        """Re-arm a session. What is past its limit still raises a new episode."""
        now = self._clock()
        async with self._store.work() as work:
            rules: Sequence[RuleName] = ()
            known = await work.session(user, session)
            if known is not None:
                after, rules = release(known, known.time(now) or now)
                await work.save([self._due(after)], now)
            stops = await self._stopping.release(work, user, session, by=by, reason=reason)
            if rules or stops:
                notice = SystemNotification(
                    id=make_id(user, session, "released", now.isoformat()),
                    timestamp=now,
                    user_id=user,
                    level="warning",
                    title="Emergency stop released",
                    message=f"Session {session}, by {by}: {reason}",
                )
                await work.put(to_clients(notice), now)
        self._committed(work, ())
        return Released(tuple(rules), tuple(stops))

    async def _tell(
        self, work: Work, session: Session, raised: Sequence[RuleAlarm], now: datetime
    ) -> None:
        """Write what follows from a session's alarms."""
        for alarm in raised:
            alert = alert_of(session, alarm)
            await work.put(to_clients(alert), now)
            if alarm.alarm.level is Level.EMERGENCY and not alarm.alarm.repeat:
                await self._stopping.by_rule(
                    work, session.user, session.session, alarm, alert_id=alert.id
                )

    def _due(self, session: Session) -> tuple[Session, datetime | None]:
        return session, due_at(session, self._watch)

    def _committed(self, work: Work, raised: Sequence[RuleAlarm]) -> None:
        for alarm in raised:
            level = alarm.alarm.level.name.lower() if alarm.alarm.level else "data_stale"
            name = metrics.RISK_REPEATS if alarm.alarm.repeat else metrics.ALERTS
            metrics.counter(name).add(1, {"rule": alarm.rule, "level": level})
        if work.put_out:
            self._on_outgoing()


def _key(event: SessionEvent) -> EventKey:
    return event.user_id, event.session_id, event.id
