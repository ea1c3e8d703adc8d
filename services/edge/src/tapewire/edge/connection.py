"""One client connection, as everything but ASGI sees it."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

from tapewire.auth import Claims
from tapewire.contracts import escape, new_id
from tapewire.contracts.frames import Acked, CloseCode, Frame, encode_frame
from tapewire.edge.channels import Plan, topics_of
from tapewire.edge.effects import Kind, Parcel
from tapewire.edge.frames import TEXT, Joined, Message, frame, ping
from tapewire.edge.limits import Limits
from tapewire.edge.outbound import Outbound
from tapewire.edge.preferences import Hides
from tapewire.edge.session import Phase, Session, Step
from tapewire.edge.wheel import Timer

log = logging.getLogger(__name__)

HEARTBEAT: Final = frame(TEXT, b'{"type":"heartbeat"}')
LIVE: Final = Phase.LIVE  # an enum's member costs a tenth of a microsecond to look up


class Wire(Protocol):
    """The socket under a connection (``protocol.Socket``)."""

    @property
    def compressed(self) -> bool:
        """Whether deflated frames may be sent."""
        ...

    @property
    def keeps_window(self) -> bool:
        """Whether they may refer to those before them."""
        ...

    def write(self, frames: bytes) -> None:
        """Write whole frames."""

    @property
    def straight(self) -> Callable[[bytes], object]:
        """What writes frames without looking; for a wire that is open and reads."""
        ...

    def hang_up(self, code: int, reason: str) -> None:
        """Send a close frame and end."""


class Tally:
    """What this process wrote, counted without a metric's cost per message."""

    __slots__ = ("bytes", "closed", "conflated", "critical", "dropped", "live", "recent")

    def __init__(self) -> None:
        self.live = self.recent = self.critical = self.bytes = self.conflated = self.dropped = 0
        self.closed: dict[int, int] = {}


Shared: TypeAlias = "tuple[Mapping[Connection, None], list[tuple[str, Message]]]"
"""Messages of class live with their keys, and who hears them."""

SAME_TRIED: Final = 4  # audiences; beyond it comparing would cost more than joining saves


class Flusher:
    """Writes what connections have due, once per turn of the loop.

    What many hear is kept once for all of them until then, and written in one walk over them: to
    visit a thousand connections costs more than what is done there, since none is in the cache.
    Once a connection has a frame of its own in a turn, all goes by its own queue, in order.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._due: list[Connection] = []
        self.shared: list[Shared] = []

    def add(self, connection: "Connection") -> None:
        """Have ``connection`` flushed at the end of this turn."""
        if not self._due:
            self._call_soon(self._flush)
        self._due.append(connection)

    def spread(self) -> None:
        """Put what is shared into its hearers' own queues, before a frame that comes after it."""
        shared, self.shared = self.shared, []
        for hearers, messages in shared:
            Connection.tell_live(hearers, messages)

    def share(self, hearers: "Mapping[Connection, None]", key: str, message: Message) -> None:
        """Write a message of class live to all ``hearers`` at the end of this turn."""
        if self._due:
            Connection.tell_live(hearers, ((key, message),))
            return
        if not self.shared:
            self._call_soon(self._flush)
        # Most people watch the same lists. Comparing two audiences is a fraction of a walk over
        # one of them, and what is heard together is joined once.
        for known, messages in self.shared[-SAME_TRIED:]:
            if len(known) == len(hearers) and known == hearers:
                messages.append((key, message))
                return
        self.shared.append((hearers, [(key, message)]))

    def _flush(self) -> None:
        shared, self.shared = self.shared, []
        for hearers, messages in shared:
            Connection.write_shared(hearers, messages)
        due, self._due = self._due, []
        for connection in due:
            try:
                connection.flush()
            except Exception:  # one socket's fault must not keep the others waiting
                log.exception("flush failed")


class Connection:
    """One client's socket, its session, and what waits to be written to it.

    The rim calls it; it calls back ``on_close`` at most once, when it stopped being reachable.
    """

    __slots__ = (
        "__weakref__",
        "_due",
        "_flusher",
        "_number",
        "_on_close",
        "_outbound",
        "_pinged",
        "_proved",
        "_tally",
        "_wire",
        "_write",
        "address",
        "claims",
        "client_id",
        "close_code",
        "compressed",
        "hides",
        "id",
        "keeps_window",
        "last_seen",
        "on_proof",
        "opened_at",
        "own_inbox",
        "plans",
        "quick",
        "resume",
        "session",
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
        # Live, reading, and with no close under way, as far as was seen: then frames may go
        # straight to the transport.
        self.quick = False
        self._wire = wire
        self._write = wire.straight
        self._flusher = flusher
        self._tally = tally
        self._outbound = Outbound()
        self._due = False
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
            self._tally.critical += 1
            self._must(data)
            return
        self._write_recent(data)
        if number is not None:
            self._number = max(self._number, number)

    def live_message(self, key: str, message: Message) -> None:
        """Write a message of class live, or keep the newest of its key."""
        self.tell_live((self,), ((key, message),))

    @staticmethod
    def tell_live(
        connections: "Iterable[Connection]", messages: Sequence[tuple[str, Message]]
    ) -> None:
        """Write messages of class live, with their keys, to each; or keep the newest of a key.

        Most of what an edge does is this loop, so it is one: calls would cost more than what they
        do. It closes nobody, so ``connections`` may be an audience itself.
        """
        frames = Joined([message for _, message in messages])
        plain = frames.plain
        told = 0
        tally = None
        for connection in connections:
            if connection.session.phase is not LIVE:
                continue
            told += 1
            tally = connection._tally
            outbound = connection._outbound
            if outbound.lagging:
                before = outbound.conflated
                for key, message in messages:
                    outbound.live(key, message.frame(compressed=connection.compressed))
                tally.conflated += outbound.conflated - before
                continue
            connection.quick = True
            if connection._flusher.shared:
                connection._flusher.spread()
            outbound.ready.append(
                frames.deflated(in_a_row=connection.keeps_window)
                if connection.compressed
                else plain
            )
            if not connection._due:
                connection._due = True
                connection._flusher.add(connection)
        if tally is not None:
            tally.live += told * len(messages)

    @staticmethod
    def share(hearers: "Mapping[Connection, None]", key: str, message: Message) -> None:
        """Write a message of class live to all ``hearers`` at the end of this turn."""
        for connection in hearers:  # all have the process's one flusher
            connection._flusher.share(hearers, key, message)
            return

    @staticmethod
    def write_shared(
        connections: "Mapping[Connection, None]", messages: Sequence[tuple[str, Message]]
    ) -> None:
        """Write messages of class live to each at once; no frames of their own are due."""
        frames = Joined([message for _, message in messages])
        plain, count = frames.plain, len(messages)
        others: list[Connection] = []
        written = 0
        tally = None
        for connection in connections:
            if not connection.quick:
                others.append(connection)
                continue
            try:
                if connection.compressed:
                    data = frames.deflated(in_a_row=connection.keeps_window)
                    connection._write(data)
                    connection._tally.bytes += len(data)
                    connection._tally.live += count
                else:
                    connection._write(plain)
                    written += 1
            except Exception:  # one socket's fault must not keep the others waiting
                log.exception("write failed")
                connection.quick = False
            tally = connection._tally
        if tally is not None:
            tally.live += written * count
            tally.bytes += written * len(plain)
        if others:
            Connection.tell_live(others, messages)

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
        self._due = False
        outbound = self._outbound
        data = outbound.take()
        if self._number > self._pinged and self._pinged == self._proved and not outbound.lagging:
            self._pinged = self._number
            data += ping(b"%d" % self._number)
        if data:
            self._tally.bytes += len(data)
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
        self._outbound.pause()

    def on_resume(self) -> None:
        """The client reads again."""
        self._outbound.resume()
        self._mark()

    def on_lost(self) -> None:
        """The socket is gone."""
        self._end(self.close_code or 1006)

    def close(self, code: CloseCode) -> None:
        """Write what is due, then close with ``code``."""
        if self.closed:
            return
        if self._flusher.shared:
            self._flusher.spread()
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
        if self._flusher.shared:
            self._flusher.spread()
        if self._outbound.recent(data):
            self._tally.recent += 1
            self._mark()
        else:
            self._tally.dropped += 1
            self.close(CloseCode.SLOW_CONSUMER)

    def _must(self, data: bytes) -> None:
        if self._flusher.shared:
            self._flusher.spread()
        self._outbound.must(data)
        self._mark()

    def _mark(self) -> None:
        if not self._due:
            self._due = True
            self._flusher.add(self)

    def _end(self, code: int) -> None:
        if self.closed:
            return
        self.quick = False
        self.session.step(Step.CLOSE)
        self.close_code = code
        self._tally.closed[code] = self._tally.closed.get(code, 0) + 1
        for name in list(self.timers):
            self.forget(name)
        self._on_close(self)
