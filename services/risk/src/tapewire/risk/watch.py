"""The decision: from a session and the time to alarms. Pure and deterministic."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tapewire.risk.episode import (
    TRANSITIONS,
    Alarm,
    Episode,
    Reading,
    Signal,
    State,
    due,
    observe,
    step,
)
from tapewire.risk.repeats import NO_REPEATS, Repeats, repeat, repeat_at
from tapewire.risk.rules import RULES, Rule, RuleName
from tapewire.risk.session import NO_LIMITS, Limits, Session


@dataclass(frozen=True, slots=True)
class Watch:
    """The numbers that hold for every session."""

    defaults: Limits = NO_LIMITS
    stale_after_s: float = 120.0
    repeats: Repeats = NO_REPEATS


@dataclass(frozen=True, slots=True)
class RuleAlarm:
    """An alarm, the rule that raised it and what to tell a person."""

    rule: RuleName
    alarm: Alarm
    words: str
    threshold: float  # per cent; of a stale session: seconds
    value: float  # likewise


def judge(
    session: Session,
    at: datetime,
    watch: Watch,
    *,
    now: datetime | None = None,
    mark: bool = False,
    blind: bool = False,
) -> tuple[Session, list[RuleAlarm]]:
    """Return the session with its episodes moved to ``at`` (session time), and the alarms.

    ``now`` is our clock. ``mark``: P&L was told anew; without it this is a look at the clock.
    ``blind``: we were not listening, so silence says nothing of the producer.
    """
    limits = session.limits(watch.defaults)
    episodes = dict(session.episodes)
    raised: list[RuleAlarm] = []
    for name, rule in RULES.items():
        before = episodes.get(name, Episode())
        reading = _read(session, rule, limits, at, watch, now=now, mark=mark, blind=blind)
        after, alarms = observe(before, reading, rule.policy)
        if after != before:
            episodes[name] = after
        raised += [_explain(session, rule, limits, alarm, watch) for alarm in alarms]
    return replace(session, episodes=episodes), raised


def remind(
    session: Session, at: datetime, watch: Watch, *, now: datetime
) -> tuple[Session, list[RuleAlarm]]:
    """Return the session and, told again, the alarms that nobody acknowledged in time.

    ``at``: the session's time; ``now``: our clock.
    """
    limits = session.limits(watch.defaults)
    episodes = dict(session.episodes)
    raised: list[RuleAlarm] = []
    for name, rule in RULES.items():
        episode = episodes.get(name, Episode())
        due_at = repeat_at(episode, rule.policy, watch.repeats)
        if due_at is not None and due_at <= now:
            episodes[name], alarm = repeat(episode, at, now)
            raised.append(_explain(session, rule, limits, alarm, watch))
    return replace(session, episodes=episodes), raised


def release(session: Session, at: datetime) -> tuple[Session, list[RuleName]]:
    """Return the session with every latched emergency released, and which rules they were of."""
    latched: list[RuleName] = [n for n in RULES if _state(session, n) is State.EMERGENCY]
    moved = {name: step(session.episodes[name], Signal.RELEASE, at) for name in latched}
    return replace(session, episodes={**session.episodes, **moved}), latched


def due_at(session: Session, watch: Watch) -> datetime | None:
    """Return when, by our clock, time alone may change something; None: never."""
    if session.at is None or session.heard_at is None:
        return None
    repeats = [
        repeat_at(session.episodes[name], rule.policy, watch.repeats)
        for name, rule in RULES.items()
        if name in session.episodes
    ]
    if session.closed:
        return min((m for m in repeats if m is not None), default=None)
    limits = session.limits(watch.defaults)
    moments: list[datetime | None] = []
    for name, rule in RULES.items():
        episode = session.episodes.get(name, Episode())
        moments += [due(episode, rule.policy), rule.due(session, limits, episode)]
        if rule.goes_stale and Signal.STALE in TRANSITIONS[episode.state]:
            moments.append(_stale_at(session, rule, limits, watch))
    earliest = min((m for m in moments if m is not None), default=None)
    if earliest is not None:
        repeats.append(session.heard_at + (earliest - session.at))
    return min((m for m in repeats if m is not None), default=None)


def _read(
    session: Session,
    rule: Rule,
    limits: Limits,
    at: datetime,
    watch: Watch,
    *,
    now: datetime | None,
    mark: bool,
    blind: bool,
) -> Reading:
    stale_at = _stale_at(session, rule, limits, watch) if rule.goes_stale else None
    return Reading(
        at=at,
        value=rule.value(session, limits, at),
        mark=mark,
        stale=stale_at is not None and at >= stale_at and not blind,
        closed=session.closed,
        now=now,
    )


def _stale_at(session: Session, rule: Rule, limits: Limits, watch: Watch) -> datetime | None:
    """Return when silence leaves ``rule`` without a value, in session time."""
    if session.status != "active" or session.marked_at is None:
        return None
    if limits.loss is None and session.utilization is None:
        return None  # nothing to watch, nothing to miss
    return session.marked_at + timedelta(seconds=watch.stale_after_s)


def _explain(session: Session, rule: Rule, limits: Limits, alarm: Alarm, watch: Watch) -> RuleAlarm:
    if not alarm.level:
        silent = (alarm.at - (session.marked_at or alarm.at)).total_seconds()
        words = f"No P&L for {silent:.0f} s: {rule.name} cannot be watched"
        return RuleAlarm(rule.name, alarm, words, watch.stale_after_s, silent)
    value = alarm.value or 0.0
    words = rule.words(session, limits, value)
    if alarm.repeat:
        words = f"Not acknowledged: {words}"
    return RuleAlarm(rule.name, alarm, words, rule.policy.threshold(alarm.level), value)


def _state(session: Session, name: RuleName) -> State:
    return session.episodes.get(name, Episode()).state
