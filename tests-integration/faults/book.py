"""The records of a campaign, kept in memory as they are made."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic

from faults.audit import Device, Handled, Sent, Verdict, audit

AROUND_S = 5.0  # before and after an alert that was out of order


def _said(one: Handled) -> str:
    return f"{one.at:.3f} {one.device.name}" + (" redelivered" if one.redelivered else "")


class Book:
    """What was sent and what was handled. Times are `time.monotonic`: the machine's, not ours."""

    def __init__(self) -> None:
        self._sent: dict[str, Sent] = {}
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._handled: list[Handled] = []
        self._noted: list[tuple[float, str, str]] = []
        self._seen: dict[str, set[Device]] = {}
        self.devices: list[Device] = []

    def number(self, publisher: str, user: str) -> int:
        """Return the next number of a publisher for a user, from 0."""
        number = self._numbers[publisher, user]
        self._numbers[publisher, user] += 1
        return number

    def sending(self, alert: Sent) -> None:
        """An alert is about to be published."""
        self._sent[alert.id] = alert

    def confirmed(self, id_: str) -> None:
        """Its publisher was told that it is taken."""
        self._sent[id_] = replace(self._sent[id_], confirmed_at=monotonic())

    def handled(
        self, id_: str, device: Device, at: float | None = None, *, redelivered: bool = False
    ) -> None:
        """A device's handler has dealt with it. ``redelivered``: as its edge said."""
        at = monotonic() if at is None else at
        self._handled.append(Handled(id_, device, at, redelivered))
        self._seen.setdefault(id_, set()).add(device)

    def noted(self, device: Device, what: str) -> None:
        """Something befell a device that explains what it handles when: no part of the audit."""
        self._noted.append((monotonic(), device.name, f"- {what}"))

    def mark(self) -> int:
        """Return a place: `open_since` and `verdict` begin with what is sent after it."""
        return len(self._sent)

    def open_since(self, mark: int) -> int:
        """Return how many alerts some reader has still to handle."""
        return sum(not self._is_done(alert) for alert in self._since(mark))

    def open_of(self, user: str) -> int:
        """Return how many alerts of a user some reader has still to handle."""
        return sum(alert.user == user and not self._is_done(alert) for alert in self._sent.values())

    def verdict(self, mark: int = 0, depths: Mapping[str, int] | None = None) -> Verdict:
        """Audit what was sent since `mark`."""
        sent = self._since(mark)
        wanted = {alert.id for alert in sent}
        handled = [h for h in self._handled if h.id in wanted or h.id not in self._sent]
        return audit(sent, handled, self.devices, depths=depths)

    def history(self, verdict: Verdict) -> list[str]:
        """Return what is known of every alert that a finding names: where to look for causes.

        Of an alert out of order, also what befell its user's devices around it.
        """
        lines: list[str] = []
        for id_, alert in self._sent.items():
            if any(id_ in sentence.split() for sentence in verdict.findings):
                lines.append(f"{id_} confirmed at {alert.confirmed_at}")
                lines += [f"    {_said(h)}" for h in self._handled if h.id == id_]
        for id_, alert in self._sent.items():
            if any(f" {id_} after " in sentence for sentence in verdict.disordered):
                lines += [f"around {id_}", *self._around(id_, alert.user)]
        return lines

    def _around(self, id_: str, user: str) -> list[str]:
        mine = {device.name for device in self.devices if device.user == user}
        times = [h.at for h in self._handled if h.id == id_]
        first, last = min(times) - AROUND_S, min(times) + AROUND_S
        rows = [(h.at, _said(h) + f" {h.id}") for h in self._handled if h.device.name in mine]
        rows += [(at, f"{at:.3f} {name} {what}") for at, name, what in self._noted if name in mine]
        return [f"    {said}" for at, said in sorted(rows) if first <= at <= last]

    def dump(self, path: Path) -> None:
        """Write everything down, in the order of time, one JSON list a line.

        (time, "confirmed", id), (time, device, id, redelivered) when it was handled,
        (time, device, "- note").
        """
        rows: list[tuple] = [
            (a.confirmed_at or 0.0, "confirmed", a.id) for a in self._sent.values()
        ]
        rows += [(h.at, h.device.name, h.id, h.redelivered) for h in self._handled]
        rows += self._noted
        path.write_text("".join(json.dumps(row) + "\n" for row in sorted(rows)))

    @property
    def users(self) -> Iterable[str]:
        """Everybody who has a device."""
        return dict.fromkeys(device.user for device in self.devices)

    def _since(self, mark: int) -> list[Sent]:
        return list(self._sent.values())[mark:]

    def _is_done(self, alert: Sent) -> bool:
        seen = self._seen.get(alert.id, set())
        mine = [device for device in self.devices if device.user == alert.user]
        shared = [device for device in mine if not device.own]
        return all(device in seen for device in mine if device.own) and (
            not shared or any(device in seen for device in shared)
        )
