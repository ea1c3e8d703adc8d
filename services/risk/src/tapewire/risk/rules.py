"""The rules, in one table: a name, a value, its numbers. A new rule is a class and a line."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Final, Literal, Protocol

from tapewire.risk.episode import Delay, Episode, Level, Policy, State
from tapewire.risk.session import Limits, Session

RuleName = Literal["loss_limit", "time_limit"]


class Rule(Protocol):
    """One thing to watch in a session. Stateless; values are per cent of a limit."""

    name: ClassVar[RuleName]
    policy: ClassVar[Policy]
    goes_stale: ClassVar[bool]
    """Whether silence of the producer leaves the value unknown."""

    def value(self, session: Session, limits: Limits, at: datetime) -> float | None:
        """Return the value at ``at``; None where the session has none."""
        ...

    def due(self, session: Session, limits: Limits, episode: Episode) -> datetime | None:
        """Return when the value next crosses a threshold by the passing of time alone."""
        ...

    def words(self, session: Session, limits: Limits, value: float) -> str:
        """Return what to tell a person."""
        ...


class LossLimit:
    """Loss ÷ limit. Without a limit of ours, the producer's own utilisation."""

    name: ClassVar[RuleName] = "loss_limit"
    policy: ClassVar = Policy(
        warning=75,
        critical=90,
        emergency=100,
        deadband=10,
        on_delay=Delay(marks=2, seconds=60),  # one wild mark is no alarm
        off_delay=Delay(marks=2, seconds=60),
    )
    goes_stale: ClassVar = True

    def value(self, session: Session, limits: Limits, at: datetime) -> float | None:
        """Return the loss as per cent of the limit; a profit is no loss."""
        profit = session.profit()
        if limits.loss is None:
            return session.utilization
        return None if profit is None else float(max(-profit, 0) / limits.loss * 100)

    def due(self, session: Session, limits: Limits, episode: Episode) -> datetime | None:
        """Return None: a loss does not move by itself."""
        return None

    def words(self, session: Session, limits: Limits, value: float) -> str:
        """Return the loss and its limit."""
        profit = session.profit()
        if limits.loss is None or profit is None:
            return f"Loss is at {value:.1f} % of its limit"
        return f"Loss of {max(-profit, 0):,.2f} is {value:.1f} % of the limit {limits.loss:,.2f}"


class TimeLimit:
    """Age ÷ limit, by the session's own time."""

    name: ClassVar[RuleName] = "time_limit"
    policy: ClassVar = Policy(
        warning=80,
        critical=95,
        emergency=100,
        deadband=0,  # age falls only when the limit was extended or the session begins anew
        on_delay=Delay(marks=0, seconds=0),
        off_delay=Delay(marks=0, seconds=0),
    )
    goes_stale: ClassVar = False  # the clock needs no producer

    def value(self, session: Session, limits: Limits, at: datetime) -> float | None:
        """Return the age as per cent of the limit; a stopped session does not age."""
        if limits.time_s is None or session.started_at is None:
            return None
        if session.status == "emergency_stopped":
            return None
        return (at - session.started_at).total_seconds() / limits.time_s * 100

    def due(self, session: Session, limits: Limits, episode: Episode) -> datetime | None:
        """Return when the next level that was not reached yet will be."""
        if limits.time_s is None or session.started_at is None:
            return None
        if session.status == "emergency_stopped" or episode.state is State.EMERGENCY:
            return None
        reached = self.policy.level(episode.value) if episode.value is not None else Level.NONE
        if reached is Level.EMERGENCY:
            return None
        share = self.policy.threshold(Level(reached + 1)) / 100
        return session.started_at + timedelta(seconds=share * limits.time_s)

    def words(self, session: Session, limits: Limits, value: float) -> str:
        """Return the age and its limit."""
        limit = timedelta(seconds=limits.time_s or 0)
        age = timedelta(seconds=round((limits.time_s or 0) * value / 100))
        return f"Session age {age} is {value:.1f} % of the limit {limit}"


RULES: Final[Mapping[RuleName, Rule]] = {
    LossLimit.name: LossLimit(),
    TimeLimit.name: TimeLimit(),
}
"""Every rule, in the order in which their alarms are told."""
