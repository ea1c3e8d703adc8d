"""The rules. Pure: records in, findings out.

| rule | a finding when |
|---|---|
| lost | a confirmed alert was handled by no device of its user; or not by an own-inbox device |
| duplicated | a device that remembers what it handled handled an alert twice |
| disordered | a user's devices, together, handled an alert after a later one of its publisher |
| invented | something was handled that nobody sent |
| left | at the end something waits in an inbox, in `dead` or in the mailroom |

Between the mailroom and an inbox that is just being opened no order is promised
(docs/delivery.md): for users never seen, disorder is counted apart and is no finding.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sent:
    """An alert that a publisher emitted; times are seconds of the machine's monotonic clock.

    Attributes:
        number: of this publisher for this user, from 0; the next is sent once this is confirmed.
        confirmed_at: None while no confirm came: then nothing is promised.
    """

    id: str
    user: str
    publisher: str
    number: int
    confirmed_at: float | None


@dataclass(frozen=True, slots=True)
class Device:
    """A client of a user.

    Attributes:
        remembers: it keeps its memory, so its handler must see each alert once.
        own: it has an inbox of its own (``inbox=own``), and must see every alert itself.
        unseen: its user's first alerts may come while nobody has opened the inbox.
    """

    name: str
    user: str
    remembers: bool = True
    own: bool = False
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class Handled:
    """A handler returned. ``redelivered``: as its edge said; no rule asks for it."""

    id: str
    device: Device
    at: float
    redelivered: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the rules found; every finding is a sentence."""

    alerts: int
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    overtaken: list[str] = field(default_factory=list)
    """Disorder of users never seen."""
    longest_s: float = 0.0
    """From the confirm to the first handling, of the slowest alert."""

    @property
    def findings(self) -> list[str]:
        """All of them, in the order of the table above."""
        return [*self.lost, *self.duplicated, *self.disordered, *self.invented, *self.left]

    @property
    def holds(self) -> bool:
        """Whether the promise was kept."""
        return not self.findings


def audit(
    sent: Iterable[Sent],
    handled: Iterable[Handled],
    devices: Iterable[Device],
    *,
    depths: Mapping[str, int] | None = None,
) -> Verdict:
    """Apply the rules.

    Args:
        sent: what publishers emitted.
        handled: what devices' handlers took, in any order.
        devices: every device there was; a user without one was never to be told.
        depths: messages that wait in the queues that must be empty, by queue.
    """
    by_id = {alert.id: alert for alert in sent}
    in_time = sorted(handled, key=lambda one: one.at)
    listening = list(devices)
    first = _first_handlings(in_time)
    unseen = {device.user for device in listening if device.unseen}
    verdict = Verdict(
        alerts=len(by_id),
        lost=_lost(by_id.values(), listening, first),
        duplicated=_duplicated(in_time),
        disordered=_disordered({r: ids for r, ids in first.items() if r[0] not in unseen}, by_id),
        overtaken=_disordered({r: ids for r, ids in first.items() if r[0] in unseen}, by_id),
        invented=[
            f"{one.device.name} handled {one.id}, which nobody sent"
            for one in in_time
            if one.id not in by_id
        ],
        left=[f"{depth} left in {queue}" for queue, depth in (depths or {}).items() if depth],
        longest_s=_longest(by_id, first),
    )
    return verdict


Reader = tuple[str, str]
"""Who reads an inbox: a user's devices together (user, ""), or one with its own (user, name)."""


def _reader(device: Device) -> Reader:
    return (device.user, device.name if device.own else "")


def _first_handlings(in_time: list[Handled]) -> dict[Reader, dict[str, float]]:
    """Return when each reader first handled each id, in that order."""
    found: dict[Reader, dict[str, float]] = {}
    for one in in_time:
        found.setdefault(_reader(one.device), {}).setdefault(one.id, one.at)
    return found


def _lost(
    alerts: Iterable[Sent], devices: list[Device], first: dict[Reader, dict[str, float]]
) -> list[str]:
    readers: dict[str, set[Reader]] = {}
    for device in devices:
        readers.setdefault(device.user, set()).add(_reader(device))
    return [
        f"{alert.id} was confirmed, and {reader[1] or reader[0]} never handled it"
        for alert in alerts
        if alert.confirmed_at is not None
        for reader in sorted(readers.get(alert.user, ()))
        if alert.id not in first.get(reader, {})
    ]


def _duplicated(in_time: list[Handled]) -> list[str]:
    times: dict[tuple[Device, str], int] = {}
    for one in in_time:
        if one.device.remembers:
            times[one.device, one.id] = times.get((one.device, one.id), 0) + 1
    return [
        f"{device.name} handled {id_} {count} times"
        for (device, id_), count in times.items()
        if count > 1
    ]


def _disordered(first: dict[Reader, dict[str, float]], by_id: Mapping[str, Sent]) -> list[str]:
    found: list[str] = []
    for reader, ids in first.items():
        newest: dict[str, Sent] = {}
        for id_ in ids:
            alert = by_id.get(id_)
            if alert is None:
                continue
            before = newest.get(alert.publisher)
            if before is not None and alert.number < before.number:
                found.append(f"{reader[1] or reader[0]} handled {id_} after {before.id}")
            else:
                newest[alert.publisher] = alert
    return found


def _longest(by_id: Mapping[str, Sent], first: dict[Reader, dict[str, float]]) -> float:
    return max(
        (
            at - alert.confirmed_at
            for ids in first.values()
            for id_, at in ids.items()
            if (alert := by_id.get(id_)) is not None and alert.confirmed_at is not None
        ),
        default=0.0,
    )
