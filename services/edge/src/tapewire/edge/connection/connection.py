"""One client connection, as everything but ASGI sees it."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tapewire.auth import Claims
from tapewire.contracts import escape, new_id
from tapewire.contracts.frames import Acked, CloseCode, Frame, encode_frame
from tapewire.edge.connection.channels import Plan, topics_of
from tapewire.edge.connection.effects import Kind, Parcel
from tapewire.edge.connection.flusher import Flusher
from tapewire.edge.connection.limits import Limits
from tapewire.edge.connection.preferences import Hides
from tapewire.edge.connection.session import Phase, Session, Step
from tapewire.edge.connection.walk import LIVE
from tapewire.edge.runtime.wheel import Timer
from tapewire.edge.transport.frames import TEXT, Joined, Message, frame, ping
from tapewire.edge.transport.outbound import Outbound
from tapewire.edge.transport.wire import Tally, Wire

log = logging.getLogger(__name__)

HEARTBEAT: Final = frame(TEXT, b'{"type":"heartbeat"}')


class Connection:
    """One client's socket, its session, and what waits to be written to it.

    The rim calls it; it calls back ``on_close`` at most once, when it stopped being reachable.
    """

    __slots__ = (
        "__weakref__",
        "_number",
        "_on_close",
        "_pinged",
        "_proved",
        "_wire",
        "address",
        "claims",
        "client_id",
        "close_code",
        "compressed",
        "due",
        "flusher",
        "hides",
        "id",
        "keeps_window",
        "last_seen",
        "on_proof",
        "opened_at",
        "outbound",
        "own_inbox",
        "plans",
        "quick",
        "resume",
        "served",
        "session",
        "straight",
        "tally",
        "timers",
        "topics",
        "word",
    )

    def __init__(
        self,
        wire: Wire,
        flusher: Flusher,
        tally: Tally,
        limits: Limits,
        *,
        now: float,
        address: str,
        on_close: Callable[["Connection"], None],
    ) -> None:
        self.id = new_id()
        self.address = address
        self.session = Session(limits, now)
        self.claims: Claims | None = None
        self.word = ""
        self.client_id: str | None = None
        self.own_inbox = False
        self.resume = False
        self.plans: dict[str, Plan] = {}
        self.topics: frozenset[str] = frozenset()
        self.compressed = wire.compressed
        self.keeps_window = wire.keeps_window
        self.last_seen = self.opened_at = now
        self.timers: dict[str, Timer] = {}
        self.close_code: int | None = None
        self.hides: Hides | None = None
        self.on_proof: Callable[[Connection, int], None] | None = None
        # Live, reading, with nothing in its own queue, nothing of a walk served already, and no
        # close under way, as far as was seen: then frames may go straight to the transport.
        self.quick = False
        self.served = 0  # up to this number it has had, by its own queue, what the walks tell
        self._wire = wire
        self.straight = wire.straight
        self.flusher = flusher
        self.tally = tally
        self.outbound = Outbound()
        self.due = False
        self._number = 0  # of the newest recent message written
        self._pinged = 0  # the newest number that a ping asked about
        self._proved = 0  # the newest number that a pong answered for
        self._on_close = on_close

    # Who it is

    def identify(self, claims: Claims) -> None:
        """Take on the identity that a token proved."""
        self.claims = claims
        self.word = escape(claims.subject)

    @property
    def user(self) -> str:
        """The user of the token."""
        assert self.claims is not None
        return self.claims.subject

    @property
    def live(self) -> bool:
        """Whether it was welcomed and is not closed."""
        return self.session.phase is Phase.LIVE

    @property
    def closed(self) -> bool:
        """Whether nothing will be written to it any more."""
        return self.session.phase is Phase.CLOSED

    def hold(self, plans: Iterable[Plan]) -> None:
        """Have exactly these channels."""
        self.plans = {plan.name: plan for plan in plans}
        self.topics = frozenset(topic for plan in self.plans.values() for topic in plan.topics)

    def wants(self, parcel: Parcel) -> bool:
        """Return whether one of its channels carries the message, and its user wants it now."""
        if self.topics.isdisjoint(topics_of(parcel.exchange, parcel.routing_key)):
            return False
        return self.hides is None or not self.hides(
            parcel.type, parcel.routing_key.rpartition(".")[2]
        )

    # What is written to it

    def welcome(self, reply: Frame) -> None:
        """Go live with this frame: what walks tell came before it, and is not for this client."""
        self.session.step(Step.WELCOMED)
        self.served = self.flusher.newest
        self.say(reply)

    def say(self, reply: Frame) -> None:
        """Write a frame of the protocol."""
        self._must(frame(TEXT, encode_frame(reply)))

    def tell_acked(self, ids: tuple[str, ...]) -> None:
        """Say that another device acknowledged these."""
        self.say(Acked(ids=list(ids)))

    def deliver(self, kind: Kind, parcel: Parcel, message: Message, number: int | None) -> None:
        """Write a message of a tray; ``number`` is what a pong must prove."""
        data = message.deflated if self.compressed else message.plain
        if kind is Kind.INBOX:
            self.tally.critical += 1
            self._must(data)
            return
        self._write_recent(data)
        if number is not None:
            self._number = max(self._number, number)

    def live_message(self, key: str, message: Message) -> None:
        """Write a message of class live, or keep the newest of its key."""
        if self.session.phase is LIVE:
            self._settle()
            self.hear(((key, message),), Joined((message,)))

    def hear(self, messages: Sequence[tuple[str, Message]], frames: Joined) -> None:
        """Write messages of class live, with their keys; or keep the newest of each key.

        By its own queue, where they stand behind what came before them; ``frames`` are the same
        messages.
        """
        if self.session.phase is not LIVE:
            return
        tally, outbound = self.tally, self.outbound
        tally.live += len(messages)
        if outbound.lagging:
            before = outbound.conflated
            for key, message in messages:
                outbound.live(key, message.frame(compressed=self.compressed))
            tally.conflated += outbound.conflated - before
            return
        self.quick = False
        outbound.ready.append(
            frames.deflated(in_a_row=self.keeps_window) if self.compressed else frames.plain
        )
        self._mark()

    def quicken(self, number: int) -> bool:
        """Return whether frames may go straight to it, from a walk's oldest ``number`` on."""
        self.quick = (
            number > self.served
            and self.session.phase is LIVE
            and not self.outbound.lagging
            and not self.outbound.ready
        )
        return self.quick

    def recent_message(self, message: Message, type: str = "", level: str = "") -> None:
        """Write a message of class recent that comes by no tray, unless its user hides it."""
        if self.hides is not None and self.hides(type, level):
            return
        if self.session.phase is LIVE:
            self._write_recent(message.deflated if self.compressed else message.plain)

    def heartbeat(self) -> None:
        """Ask for a sign of life, by a protocol ping and by a message."""
        self._must(ping(b"%d" % self._pinged) + HEARTBEAT)

    def flush(self) -> None:
        """Write what is due, and ask for proof of the recent messages in it."""
        self.due = False
        outbound = self.outbound
        data = outbound.take()
        if self._number > self._pinged and self._pinged == self._proved and not outbound.lagging:
            self._pinged = self._number
            data += ping(b"%d" % self._number)
        if data:
            self.tally.bytes += len(data)
            self._wire.write(data)

    # What happens to it

    def on_pong(self, payload: bytes) -> None:
        """The client's socket received everything up to the number in ``payload``."""
        if not payload.isdigit() or len(payload) > 15:
            return
        number = min(int(payload), self._number)
        if number > self._proved and self.on_proof is not None:
            self._proved = number
            self._pinged = max(self._pinged, number)
            self.on_proof(self, number)
            if self._number > number:
                self._mark()

    def on_pause(self) -> None:
        """The client does not read as fast as we write, or is about to close."""
        self.quick = False
        self.outbound.pause()

    def on_resume(self) -> None:
        """The client reads again."""
        self.outbound.resume()
        self._mark()

    def on_lost(self) -> None:
        """The socket is gone."""
        self._end(self.close_code or 1006)

    def close(self, code: CloseCode) -> None:
        """Write what is due, then close with ``code``."""
        if self.closed:
            return
        self._settle()
        self.flush()
        self._wire.hang_up(code, code.name.lower().replace("_", " "))
        self._end(code)

    def ended(self, code: int) -> None:
        """The client closed."""
        self._end(code)

    def remember(self, name: str, timer: Timer) -> None:
        """Keep a deadline of this connection in place of the last one of that name."""
        self.forget(name)
        self.timers[name] = timer

    def forget(self, name: str) -> None:
        """Drop a deadline."""
        timer = self.timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    # Steps

    def _write_recent(self, data: bytes) -> None:
        self._settle()
        if self.outbound.recent(data):
            self.tally.recent += 1
            self._mark()
        else:
            self.tally.dropped += 1
            self.close(CloseCode.SLOW_CONSUMER)

    def _must(self, data: bytes) -> None:
        self._settle()
        self.outbound.must(data)
        self._mark()

    def _settle(self) -> None:
        """Have what walks owe it in its own queue, before a frame that comes after it."""
        self.quick = False
        if self.flusher.walks:
            self.flusher.settle(self)

    def _mark(self) -> None:
        if not self.due:
            self.due = True
            self.flusher.add(self)

    def _end(self, code: int) -> None:
        if self.closed:
            return
        self.quick = False
        self.session.step(Step.CLOSE)
        self.close_code = code
        self.tally.closed[code] = self.tally.closed.get(code, 0) + 1
        for name in list(self.timers):
            self.forget(name)
        self._on_close(self)
