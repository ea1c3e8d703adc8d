"""The screen of `tail`: events scroll by, the newest values stand at the bottom."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from tapewire.cli.lines import line, money, price

LIVE = ("market_data", "session_status")
PLAIN_INTERVAL_S = 5.0  # where nothing can be redrawn, a live value is told this often
REFRESH_HZ = 8
OPEN = """\
          An open alert comes again, to every device and after every restart, until somebody
          acknowledges it: in the dashboard, or here with `tapewire tail --ack`."""


class Board:
    """Shows messages on a terminal, or line by line where the output is a file or a pipe."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._newest: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._told: dict[tuple[str, str], float] = {}
        self._live = Live(console=console, refresh_per_second=REFRESH_HZ, transient=True)
        self._explained = False
        self.shown = 0

    def __enter__(self) -> "Board":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def note(self, text: str, style: str = "dim") -> None:
        """Prints a remark of ours among the messages."""
        self._console.print(Text(text, style=style))

    def show(self, message: Mapping[str, Any]) -> None:
        """Shows a message: a live one at the bottom, the others as a line."""
        if message["type"] not in LIVE:
            self._console.print(line(message))
            self.shown += 1
            if message.get("ack") and not self._explained:
                self._explained = True
                self.note(OPEN)
            return
        key = message["type"], str(message.get("symbol") or message.get("sessionId"))
        self._newest[key] = message
        if self._console.is_terminal:
            self._live.update(self._bottom())
        elif self._clock() - self._told.get(key, -PLAIN_INTERVAL_S) >= PLAIN_INTERVAL_S:
            self._told[key] = self._clock()
            self._console.print(line(message))
            self.shown += 1

    def _bottom(self) -> Group:
        prices, sessions = Text(), Text()
        for (kind, key), message in sorted(self._newest.items()):
            if kind == "market_data":
                prices.append(f"{key} ", style="bold").append(f"{price(message['last'])}   ")
                continue
            data: Mapping[str, Any] = message.get("data") or {}
            sessions.append(f"{key} ", style="bold").append(f"{message['status']} P&L ")
            sessions.append_text(money(data.get("currentPnL", 0)))
            used = data.get("lossLimitUtilization")
            sessions.append(f" ({used:.0f} % of the loss limit)   " if used is not None else "   ")
        return Group(*(row for row in (sessions, prices) if row))
