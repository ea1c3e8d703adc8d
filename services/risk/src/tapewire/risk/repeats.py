"""Telling an alarm again that nobody acknowledged: when, how often, and what ends it. Pure.

It ends with an acknowledgement of any telling, with the level (`episode.step`), and after `most`.
Each wait is twice the one before, and counts on our clock: a person's answer is waited for in a
person's time, however fast a session's own goes by.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from tapewire.risk.episode import Alarm, Episode, Level, Policy, Raised

BEFORE_HEARD_S: Final = 5.0  # what waited for us at the broker, acknowledgements too, is in by then


@dataclass(frozen=True, slots=True)
class Repeats:
    """When an unacknowledged alarm is told again. 0 s: never."""

    critical_s: float = 0.0
    emergency_s: float = 0.0
    most: int = 0  # of one alarm: who comes back after days finds so many, not thousands

    def wait_s(self, level: Level, policy: Policy) -> float:
        """Return the first wait. Emergencies alone need not cool down."""
        if level is Level.EMERGENCY:
            return self.emergency_s
        return self.critical_s and max(self.critical_s, policy.cool_down_s)

    @property
    def listen_s(self) -> float:
        """How long we must have heard before an acknowledgement counts as missing."""
        waits = (s for s in (self.critical_s, self.emergency_s) if s)
        return min([BEFORE_HEARD_S, *waits])


NO_REPEATS: Final = Repeats()


def repeat_at(episode: Episode, policy: Policy, repeats: Repeats) -> datetime | None:
    """Return when, by our clock, the alarm is to be told again; None: not again."""
    told = episode.told
    if told is None or told.acked or told.repeats >= repeats.most:
        return None
    first_s = repeats.wait_s(told.level, policy)
    return told.at + timedelta(seconds=first_s * 2**told.repeats) if first_s else None


def repeat(episode: Episode, at: datetime, now: datetime) -> tuple[Episode, Alarm]:
    """Return the episode with its alarm told once more, and that telling.

    However long the last one is ago, it is one: what was missed meanwhile is not made up for.

    Args:
        episode: one of which `repeat_at` is not later than ``now``.
        at: the session's time.
        now: our clock.
    """
    told = episode.told
    assert told is not None  # repeat_at named a time
    again = replace(told, at=now, repeats=told.repeats + 1)
    raised = replace(episode.raised.get(told.level, Raised()), last=at)  # it cools down anew
    after = replace(episode, told=again, raised={**episode.raised, told.level: raised})
    return after, Alarm(told.level, episode.number, told.nth, episode.value, at, again.repeats)


def acknowledged(episode: Episode) -> Episode:
    """Return the episode whose alarm somebody acknowledged."""
    return (
        episode
        if episode.told is None
        else replace(episode, told=replace(episode.told, acked=True))
    )
