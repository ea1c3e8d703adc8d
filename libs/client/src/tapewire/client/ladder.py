"""WebSocket first, and what stands in for it where none can be opened. Pure."""

from dataclasses import replace
from typing import Final, Literal

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from tapewire.client.endings import Ending

Way = Literal["websocket", "sse", "long-poll"]

AFTER: Final = 2  # WebSockets in a row that were blocked, until a stream is tried
TRIES: Final = AFTER + 2  # by a stream and by polls, then all have been tried
FIRST_LOOK_S: Final = 1.0  # for WebSocket again: perhaps something was away for a moment only
LOOK_EVERY_S: Final = 300.0
_SERVICE: Final = frozenset({401, 408, 429, 500, 503, 504})  # of a service, or of its proxy for it


class Ladder:
    """Which way to try next.

    What the edge itself says is final; what stands in between may refuse an upgrade, swallow it, or
    cut it off, and then the next way is tried. What works is tried first the next time.
    """

    def __init__(self, *, climbs: bool = True) -> None:
        self.way: Way = "websocket"
        self._climbs = climbs
        self._blocked = 0
        self._refusals: list[Ending] = []  # since a way was open, of each that was told to stop

    def opened(self) -> None:
        """Note that the way led to a welcome."""
        self._blocked = 0
        self._refusals = []

    def back(self) -> None:
        """Try WebSocket next."""
        self.way, self._blocked, self._refusals = "websocket", 0, []

    def failed(self, error: BaseException, ending: Ending) -> Ending:
        """Note that a try did not come to a welcome; return what that amounts to.

        It is over when every way was refused. A way without an answer, or whose proxy had none from
        the edge, may be open the next time, whatever became of the others.
        """
        if not self._climbs or not is_blocked(error):
            return ending
        if ending.stop is not None:
            self._refusals.append(ending)
        if self.way == "websocket":
            self._blocked += 1
            if self._blocked >= AFTER:
                self.way = "sse"
        elif self.way == "sse":
            self.way = "long-poll"
        else:
            refusals = self._refusals
            self.back()
            if len(refusals) == TRIES:
                return refusals[0]
        return replace(ending, stop=None)


def is_blocked(error: BaseException) -> bool:
    """Whether somebody in between may have caused ``error``, and not the edge."""
    if isinstance(error, ConnectionClosed):
        return error.rcvd is None
    if isinstance(error, InvalidStatus):
        return error.response.status_code not in _SERVICE
    return isinstance(error, InvalidHandshake | TimeoutError)
