"""An alarm's life: one transition table, and the pure function that walks it.

An *episode* runs from NORMAL back to NORMAL. Levels rise at once after the first alarm and fall one
at a time; EMERGENCY is latched: nothing but a release leaves it. UNKNOWN holds the state that was
left when the inputs went stale. The terms (on-delay, off-delay, deadband, latching) are those of
ANSI/ISA-18.2, clauses 5 and 10.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final


class Level(IntEnum):
    """How bad a value is; comparable."""

    NONE = 0
    WARNING = 1
    CRITICAL = 2
    EMERGENCY = 3


class State(StrEnum):
    """Where an episode stands."""

    NORMAL = "normal"
    PENDING = "pending"
    WARNING = "warning"
    CRITICAL = "critical"
    EMERGENCY = "emergency"
    RESOLVED = "resolved"
    UNKNOWN = "unknown"
    HELD = "held"  # a target only: the state that UNKNOWN was entered from


class Signal(StrEnum):
    """What moves an episode."""

    ONSET = "onset"  # the value reached the lowest threshold
    WARN = "warn"  # … and the warning level is confirmed
    CRIT = "crit"
    EMERG = "emerg"
    CLEAR = "clear"  # under the level's clear line, off-delay over
    STALE = "stale"  # the inputs fell silent
    FRESH = "fresh"
    RELEASE = "release"  # a person re-armed the latch
    CLOSE = "close"  # the session ended


TRANSITIONS: Final[Mapping[State, Mapping[Signal, State]]] = {
    State.NORMAL: {
        Signal.ONSET: State.PENDING,
        Signal.STALE: State.UNKNOWN,
    },
    State.PENDING: {
        Signal.WARN: State.WARNING,
        Signal.CRIT: State.CRITICAL,
        Signal.EMERG: State.EMERGENCY,
        Signal.CLEAR: State.NORMAL,
        Signal.STALE: State.UNKNOWN,
        Signal.CLOSE: State.NORMAL,
    },
    State.WARNING: {
        Signal.CRIT: State.CRITICAL,
        Signal.EMERG: State.EMERGENCY,
        Signal.CLEAR: State.RESOLVED,
        Signal.STALE: State.UNKNOWN,
        Signal.CLOSE: State.RESOLVED,
    },
    State.CRITICAL: {
        Signal.EMERG: State.EMERGENCY,
        Signal.CLEAR: State.WARNING,
        Signal.STALE: State.UNKNOWN,
        Signal.CLOSE: State.RESOLVED,
    },
    State.EMERGENCY: {
        Signal.RELEASE: State.RESOLVED,
    },
    State.RESOLVED: {
        Signal.ONSET: State.PENDING,
        Signal.CLEAR: State.NORMAL,
        Signal.STALE: State.UNKNOWN,
        Signal.CLOSE: State.NORMAL,
    },
    State.UNKNOWN: {
        Signal.FRESH: State.HELD,
        Signal.CLOSE: State.RESOLVED,
    },
}
"""State → signal → next state. What is not here is refused."""

RAISES: Final[Mapping[Signal, Level]] = {
    Signal.WARN: Level.WARNING,
    Signal.CRIT: Level.CRITICAL,
    Signal.EMERG: Level.EMERGENCY,
    Signal.STALE: Level.NONE,  # the alarm `data_stale`, which has no level of the rule's own
}
"""The signals that raise an alarm where the table lets them pass."""

_LEVEL_OF: Final = {
    State.WARNING: Level.WARNING,
    State.CRITICAL: Level.CRITICAL,
    State.EMERGENCY: Level.EMERGENCY,
}
_SIGNAL_OF: Final = {level: signal for signal, level in RAISES.items() if level}

OPEN: Final = frozenset({State.WARNING, State.CRITICAL, State.EMERGENCY, State.UNKNOWN})
"""States with an alarm that somebody should know of."""


class IllegalTransition(Exception):
    """The table does not let this signal pass in this state; the episode is unchanged."""


@dataclass(frozen=True, slots=True)
class Delay:
    """How long a condition must hold: ``marks`` observations or ``seconds``, whichever is first."""

    marks: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Policy:
    """A rule's numbers. Thresholds and deadband are in the rule's unit (per cent here)."""

    warning: float
    critical: float
    emergency: float
    deadband: float  # a level clears this far under its threshold
    on_delay: Delay
    off_delay: Delay
    cool_down_s: float = 60.0  # an alarm of the same level repeats no sooner; emergencies always

    def level(self, value: float) -> Level:
        """Return the level that ``value`` reaches."""
        if value >= self.emergency:
            return Level.EMERGENCY
        if value >= self.critical:
            return Level.CRITICAL
        return Level.WARNING if value >= self.warning else Level.NONE

    def threshold(self, level: Level) -> float:
        """Return the threshold of ``level`` (not NONE)."""
        return (self.warning, self.critical, self.emergency)[level - 1]


@dataclass(frozen=True, slots=True)
class Reading:
    """One observation. ``mark``: the value is new, not merely looked at again by the clock."""

    at: datetime
    value: float | None
    mark: bool = False
    stale: bool = False
    closed: bool = False
    now: datetime | None = None  # our clock, on which people's answers are waited for; None: `at`


@dataclass(frozen=True, slots=True)
class Run:
    """How long a condition has held: new values, since when, the lowest level among them."""

    marks: int
    since: datetime
    floor: Level = Level.NONE


@dataclass(frozen=True, slots=True)
class Raised:
    """How often a level was raised in this episode, and when last (in any episode)."""

    count: int = 0
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An alarm that somebody should acknowledge, and how often it was repeated since."""

    level: Level  # critical or emergency
    nth: int  # as `Alarm.nth`
    at: datetime  # of the newest telling, by our clock
    repeats: int = 0
    acked: bool = False


@dataclass(frozen=True, slots=True)
class Episode:
    """One rule's alarm for one session. ``number`` counts episodes from 1."""

    state: State = State.NORMAL
    number: int = 0
    since: datetime | None = None  # when the state was entered
    value: float | None = None
    held: State | None = None
    run: Run | None = None
    raised: Mapping[Level, Raised] = field(default_factory=dict)
    owed: bool = False  # the level's alarm waits for the cool-down
    told: Told | None = None  # the alarm of the level that stands; goes with that level


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something to tell. ``level`` NONE is `data_stale`; ``nth`` counts per level and episode.

    ``repeat`` counts how often it was told again for want of an acknowledgement.
    """

    level: Level
    episode: int
    nth: int
    value: float | None
    at: datetime
    repeat: int = 0


def step(episode: Episode, signal: Signal, at: datetime) -> Episode:
    """Return ``episode`` moved by ``signal`` as the table says.

    Raises:
        IllegalTransition: the table has no such entry.
    """
    target = TRANSITIONS[episode.state].get(signal)
    if target is None:
        raise IllegalTransition(f"{signal} in {episode.state}")
    if target is State.HELD:
        target = episode.held or State.NORMAL
    moved = replace(
        episode,
        state=target,
        since=at,
        held=episode.state if target is State.UNKNOWN else None,
        run=None,
        owed=False,
        told=episode.told if signal in (Signal.STALE, Signal.FRESH) else None,
    )
    if signal is Signal.ONSET:
        fresh = {level: replace(raised, count=0) for level, raised in episode.raised.items()}
        return replace(moved, number=episode.number + 1, raised=fresh)
    return moved


def observe(episode: Episode, reading: Reading, policy: Policy) -> tuple[Episode, list[Alarm]]:
    """Return the episode after ``reading``, and the alarms to raise, oldest first.

    One reading may raise several: two marks past the warning threshold of which the second is
    past the critical one raise the warning and, escalation being immediate, the critical alarm.
    """
    episode = replace(episode, value=reading.value if reading.value is not None else episode.value)
    episode = _count(episode, reading, policy)
    alarms: list[Alarm] = []
    while signal := _signal(episode, reading, policy):
        before = episode.state
        episode = step(episode, signal, reading.at)
        if signal is Signal.ONSET or before is State.UNKNOWN:
            episode = _count(episode, reading, policy)
        if signal in RAISES:
            episode, raised = _raise(episode, RAISES[signal], reading, policy)
            alarms += raised
        if signal is Signal.CLEAR or signal is Signal.CLOSE:
            break  # down one level at a time
    if episode.owed and not reading.stale:
        episode, raised = _raise(episode, _LEVEL_OF[episode.state], reading, policy)
        alarms += raised
    return episode, alarms


def due(episode: Episode, policy: Policy) -> datetime | None:
    """Return when the passing of time alone could move the episode, if it could."""
    moments: list[datetime] = []
    if episode.run is not None:
        delay = policy.on_delay if episode.state is State.PENDING else policy.off_delay
        moments.append(episode.run.since + timedelta(seconds=delay.seconds))
    last = episode.raised.get(_LEVEL_OF.get(episode.state, Level.NONE), Raised()).last
    if episode.owed and last is not None:
        moments.append(last + timedelta(seconds=policy.cool_down_s))
    return min(moments, default=None)


def _signal(episode: Episode, reading: Reading, policy: Policy) -> Signal | None:
    """Return what this reading means in this state; None when it means nothing new."""
    state = episode.state
    if reading.closed:
        return Signal.CLOSE if Signal.CLOSE in TRANSITIONS[state] else None
    if reading.stale:
        return Signal.STALE if Signal.STALE in TRANSITIONS[state] else None
    if state is State.UNKNOWN:
        return Signal.FRESH
    return None if reading.value is None else _by_value(episode, reading, policy, reading.value)


def _by_value(episode: Episode, reading: Reading, policy: Policy, value: float) -> Signal | None:
    """Return what a fresh value means."""
    state, level = episode.state, policy.level(value)
    if state in (State.NORMAL, State.RESOLVED):
        if level:
            return Signal.ONSET
        return Signal.CLEAR if state is State.RESOLVED else None
    if state is State.PENDING:
        if not level:
            return Signal.CLEAR
        return _SIGNAL_OF[_floor(episode)] if _over(episode, policy.on_delay, reading) else None
    if state is State.EMERGENCY:
        return None
    if level > _LEVEL_OF[state]:
        return _SIGNAL_OF[level]
    return Signal.CLEAR if _over(episode, policy.off_delay, reading) else None


def _count(episode: Episode, reading: Reading, policy: Policy) -> Episode:
    """Return the episode with ``reading`` counted towards its on-delay or off-delay."""
    if reading.value is None or reading.stale or reading.closed:
        return episode
    level = policy.level(reading.value)
    if episode.state is State.PENDING:
        holds = level > Level.NONE
    elif episode.state in (State.WARNING, State.CRITICAL):
        line = policy.threshold(_LEVEL_OF[episode.state]) - policy.deadband
        holds = reading.value < line
    else:
        return episode
    if not holds:
        return replace(episode, run=None)
    run = episode.run or Run(0, reading.at, level)
    return replace(episode, run=Run(run.marks + reading.mark, run.since, min(run.floor, level)))


def _over(episode: Episode, delay: Delay, reading: Reading) -> bool:
    run = episode.run
    return run is not None and (
        run.marks >= delay.marks or (reading.at - run.since).total_seconds() >= delay.seconds
    )


def _floor(episode: Episode) -> Level:
    assert episode.run is not None  # _over was true
    return episode.run.floor


def _raise(
    episode: Episode, level: Level, reading: Reading, policy: Policy
) -> tuple[Episode, list[Alarm]]:
    """Return the episode with the alarm counted, and the alarm unless it must cool down first."""
    before = episode.raised.get(level, Raised())
    if level is not Level.EMERGENCY and before.last is not None:
        waited = (reading.at - before.last).total_seconds()
        if waited < policy.cool_down_s:
            return replace(episode, owed=level is not Level.NONE), []
    raised = Raised(before.count + 1, reading.at)
    told = episode.told
    if level >= Level.CRITICAL:
        told = Told(level, raised.count, reading.now or reading.at)
    after = replace(episode, raised={**episode.raised, level: raised}, owed=False, told=told)
    return after, [Alarm(level, episode.number, raised.count, reading.value, reading.at)]
