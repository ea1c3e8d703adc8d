"""A tray: one durable queue as this edge sees it, and what becomes of its messages.

Pure: each method takes what happened and returns what is to be done (``Effect``), in order.
Whoever performs the effects owns connections, AMQP channels and relays.

*Held* are the messages that this edge showed and that are not done with. A held message has a
delivery tag where this edge is the tray's holder (the broker's single active consumer), and none
where it is a copy that the holder relayed. A message stays on the broker until its tag is settled,
so losing everything here loses nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tapewire.edge.connection.effects import (
    Ask,
    Copy,
    Effect,
    Interested,
    Kind,
    Member,
    Parcel,
    RelayAcked,
    Send,
    Settle,
    Succeed,
    TellAcked,
)
from tapewire.edge.mailbox.ledger import Ledger
from tapewire.edge.mailbox.predecessor import Predecessor
from tapewire.edge.mailbox.state import Event, State, after

RESEND_AFTER_S = 30.0  # unacknowledged that long: shown again
REQUEUE_AFTER_S = 600.0  # a third of the broker's own limit, which closes the channel (rule 3)
# A copy that its holder, who repeats every 30 s, has not repeated for four turns is settled.
STALE_TURNS = 4
HOLD_BACK_S = 0.25  # how long an opening tray waits for the holder's answer


@dataclass(slots=True)
class Held:
    """A message that was shown here and is not done with."""

    parcel: Parcel
    number: int
    since: float
    sent_at: float
    tag: int | None
    tagged_at: float = 0.0
    waiting: set[Member] = field(default_factory=set)
    proved: bool = False


class Tray:
    """The state of one queue on this edge.

    Args:
        name: of the queue.
        kind: what it keeps.
        interested: whether a connection wants a recent message; inbox messages go to all.
    """

    def __init__(self, name: str, kind: Kind, interested: Interested) -> None:
        self.name = name
        self.kind = kind
        self.state = State.OPENING
        self.members: dict[Member, None] = {}
        self.peers: set[str] = set()
        self.skip = 0
        self.ack_deadline_s = RESEND_AFTER_S
        self.requeue_after_s = REQUEUE_AFTER_S
        self._interested = interested
        self._held: dict[str, Held] = {}
        self._sent = Ledger()
        self._acked = Ledger()
        self._number = 0
        self._held_back: list[Parcel] | None = None
        self._unanswered = False  # while relays are held back: some before them were missed
        self._told = 0  # what this edge delivered as the holder, relayed or not
        self.predecessor = Predecessor()

    # What there is

    @property
    def held(self) -> Iterator[Held]:
        """What was shown and is not done with, in order."""
        return iter(self._held.values())

    def __len__(self) -> int:
        """Return how many messages are held."""
        return len(self._held)

    @property
    def unsettled(self) -> int:
        """How many of them this edge must settle."""
        return sum(held.tag is not None for held in self._held.values())

    @property
    def oldest_at(self) -> float | None:
        """When the oldest held message came, or None."""
        return next((held.since for held in self._held.values()), None)

    def apply(self, event: Event) -> None:
        """Go to the next state. On DETACHED the tags are void: the messages come again."""
        self.state = after(self.state, event)
        if event is Event.DETACHED:
            self.skip = 0
            self.predecessor.forget_kept()
            for held in self._held.values():
                held.tag = None

    # Connections

    def join(self, member: Member, now: float) -> list[Effect]:
        """A connection came: it is shown what is held, in order, before anything newer."""
        self.members[member] = None
        effects: list[Effect] = []
        for held in list(self._held.values()):
            if self._wants(member, held.parcel):
                held.sent_at = now
                effects.append(self._send(member, held))
            elif self.kind is Kind.RECENT and not held.waiting:
                effects += self._done(held)  # nobody here wants it any more
        return effects

    def leave(self, member: Member) -> list[Effect]:
        """A connection went. What it alone was to receive waits for the next one."""
        self.members.pop(member, None)
        effects: list[Effect] = []
        for held in list(self._held.values()):
            held.waiting.discard(member)
            if self.kind is Kind.RECENT and held.proved and not held.waiting:
                effects += self._done(held)
        return effects

    # Messages

    def deliver(self, parcel: Parcel, tag: int, now: float) -> list[Effect]:
        """The broker delivered: this edge is the holder."""
        if self.skip and self.members:
            # The 101st of a full tray: it says that more was dropped, and is not shown.
            self.skip -= 1
            self._sent.add(parcel.id)
            return [Settle(tag, now)]
        if parcel.id in self._acked:
            return [Settle(tag, now, acked=parcel)]
        effects = self._kept_as_holder(now)
        if (held := self._held.get(parcel.id)) is not None:
            # Shown before: as another holder's copy, or by this edge before it lost the broker.
            earlier, held.tag, held.tagged_at = held.tag, tag, now
            if earlier is not None:  # the same id stands in the queue twice
                effects.append(Settle(earlier, now))
            else:
                effects += self._tell(parcel)  # who came since its last holder has it not
            if self.kind is Kind.RECENT and held.proved and not held.waiting:
                effects += self._done(held)
            return effects
        if self.kind is Kind.RECENT and parcel.id in self._sent:
            return [*effects, Settle(tag, now)]
        if self.predecessor.begin():
            effects.append(Succeed())
        if self.predecessor.keep(parcel, tag):
            return effects
        return [*effects, *self._show(parcel, tag, now), *self._tell(parcel)]

    def copy(
        self, parcel: Parcel, now: float, *, repeat: bool = False, teller: str = "", number: int = 0
    ) -> list[Effect]:
        """The holder relayed a message: new, or (``repeat``) once more for want of an ack.

        Args:
            parcel: the message.
            now: seconds.
            repeat: it was relayed before.
            teller: which holder's count ``number`` is of; no number, no count.
            number: of this relay.
        """
        asks = self.told(teller, number) if number else []
        if parcel.id in self._acked:
            return [*asks, RelayAcked((parcel.id,))]  # the holder has not heard of it
        if self._held_back is not None:
            self._held_back.append(parcel)
            return asks
        return self._take_copy(parcel, now, repeat=repeat)

    def ack(self, ids: Iterable[str], now: float, by: Member | None = None) -> list[Effect]:
        """A client acknowledged: here (``by`` a connection) or on another edge (None).

        Ids that are not held are remembered: their message may be on its way.
        """
        effects: list[Effect] = []
        news: list[str] = []
        elsewhere = bool(self.peers)
        for identifier in ids:
            held = self._held.pop(identifier, None)
            if held is not None and held.tag is not None:
                done, trace = held.parcel, held.parcel.trace
                effects.append(Settle(held.tag, held.tagged_at, trace=trace, acked=done))
            if identifier not in self._acked:
                self._acked.add(identifier)
                news.append(identifier)
                elsewhere = elsewhere or held is None or held.tag is None
        if not news:
            return effects
        told = tuple(news)
        effects += [TellAcked(member, told) for member in self.members if member is not by]
        if by is not None and elsewhere:
            effects.append(RelayAcked(told))
        return effects

    def up_to(self, identifier: str) -> list[str]:
        """Return the ids held that were shown no later than ``identifier``, itself included."""
        held = self._held.get(identifier)
        number = held.number if held is not None else self._sent.get(identifier)
        if number is None:
            return [identifier]
        earlier = [h.parcel.id for h in self._held.values() if h.number <= number]
        return earlier or [identifier]

    def received(self, member: Member, number: int) -> list[Effect]:
        """A pong proves that ``member`` received everything of this tray up to ``number``."""
        effects: list[Effect] = []
        for held in list(self._held.values()):
            if held.number > number:
                break
            if member in held.waiting:
                held.waiting.discard(member)
                held.proved = True
                if not held.waiting:
                    effects += self._done(held)
        return effects

    # Time

    def resend(self, now: float) -> list[Effect]:
        """Show again what nobody acknowledged in time; forget copies that went stale."""
        effects: list[Effect] = []
        if self.kind is Kind.RECENT:
            return effects
        for held in list(self._held.values()):
            if held.tag is None:
                if (
                    now - held.sent_at >= STALE_TURNS * self.ack_deadline_s
                    and self.state is State.OPEN
                ):
                    del self._held[held.parcel.id]
            elif now - held.sent_at >= self.ack_deadline_s:
                held.sent_at = now
                again = held.parcel.message.redelivered
                effects += [Send(member, held.parcel, again) for member in self.members]
                if self.peers:
                    effects.append(Copy(held.parcel, repeat=True))
        return effects

    def requeue(self, now: float) -> list[Effect]:
        """Give back, in order, what was unsettled for so long that the broker would mind."""
        effects: list[Effect] = []
        for held in self._held.values():
            if held.tag is not None and now - held.tagged_at >= self.requeue_after_s:
                effects.append(Settle(held.tag, held.tagged_at, requeue=True))
                held.tag = None
        return effects

    def give_back(self) -> list[Settle]:
        """Give everything back, in the order in which it came. Hold nothing any more."""
        effects = [
            Settle(held.tag, held.tagged_at, requeue=True)
            for held in self._held.values()
            if held.tag is not None
        ]
        effects += [Settle(tag, 0.0, requeue=True) for tag in self.predecessor.kept_tags]
        self._held.clear()
        self.predecessor.forget_kept()
        return effects

    # Other edges

    def succeed(self, now: float) -> list[Effect]:
        """The last holder has given everything back, or will not any more: go on as the holder.

        What was on its way to that edge when it let go comes here behind what the broker gave to
        this one in the meantime. But it was delivered once, so it says ``redelivered``, and is
        shown at once; what does not is newer than all that does, and was kept until now.
        """
        kept = self.predecessor.end()
        return [effect for parcel, tag in kept for effect in self.deliver(parcel, tag, now)]

    def follow(self, node: str) -> None:
        """That edge is giving everything back, and will say when it has."""
        if not self.is_holder:
            self.predecessor.closing(node)

    @property
    def told_so_far(self) -> int:
        """How many messages this edge delivered as the holder."""
        return self._told

    def told(self, teller: str, number: int) -> list[Effect]:
        """A holder says how far it is. If something before was missed, it is asked.

        Without that, a relay that got lost would be shown by its repetition, behind newer ones.
        """
        missed = self.predecessor.misses(teller, number)
        if not missed or self.is_holder:
            return []
        if self._held_back is not None:
            self._unanswered = True
            return []
        self.hold_back()
        return [Ask()]

    def mark(self, teller: str, number: int) -> list[Effect]:
        """A holder says that ``number`` was the last one that it relayed."""
        asks = self.told(teller, number + 1) if number else []
        self.predecessor.in_step(teller, number)
        return asks

    def hold_back(self) -> list[Parcel]:
        """Keep relays until the holder has answered: what it holds is older.

        Return what stands for this wait, for `release`.
        """
        self._held_back = list(self._held_back or ())
        return self._held_back

    def answer(self, parcel: Parcel, now: float) -> list[Effect]:
        """The holder's answer to ``opened``: a message that it holds.

        That one is missing from the answer proves nothing: a new holder may not have it yet.
        """
        if parcel.id in self._acked:
            return [RelayAcked((parcel.id,))]
        return self._take_copy(parcel, now)

    def waits(self, wait: list[Parcel]) -> bool:
        """Whether that wait, as `hold_back` returned it, still lasts."""
        return wait is self._held_back

    def release(self, now: float, wait: list[Parcel] | None = None) -> list[Effect]:
        """The answer is complete, or its time is up: relays go on, those kept first.

        With ``wait``, what `hold_back` returned, only if that wait still lasts, and was not for an
        answer that must bring something: then it is asked for once more.
        """
        if wait is not None and not self.waits(wait):
            return []
        unanswered, self._unanswered = self._unanswered, False
        if wait is not None and unanswered:
            return [Ask()]
        kept, self._held_back = self._held_back, None
        return [
            effect
            for parcel in kept or ()
            if parcel.id not in self._acked
            for effect in self._take_copy(parcel, now)
        ]

    def _kept_as_holder(self, now: float) -> list[Effect]:
        """What becomes of kept relays when the broker delivers to this edge.

        An inbox's come from the broker too, and in their place among what was missed. A recent
        tray's may be settled by now.
        """
        if self.kind is Kind.RECENT:
            return self.release(now)
        self._held_back, self._unanswered = None, False
        return []

    def laggards(self) -> list[Member]:
        """Return the connections that keep the oldest recent message from being settled."""
        oldest = next(iter(self._held.values()), None)
        return [] if oldest is None else list(oldest.waiting)

    @property
    def is_holder(self) -> bool:
        """Whether this edge holds deliveries of the tray."""
        return self.predecessor.keeps or any(held.tag is not None for held in self._held.values())

    # Steps

    def _wants(self, member: Member, parcel: Parcel) -> bool:
        return self.kind is Kind.INBOX or self._interested(member, parcel)

    def _send(self, member: Member, held: Held) -> Send:
        message = held.parcel.message
        if held.parcel.redelivered:
            message = message.redelivered
        if self.kind is Kind.INBOX:
            return Send(member, held.parcel, message)
        held.waiting.add(member)
        return Send(member, held.parcel, message, held.number)

    def _show(self, parcel: Parcel, tag: int | None, now: float) -> list[Effect]:
        members = [member for member in self.members if self._wants(member, parcel)]
        self._number += 1
        self._sent.add(parcel.id, self._number)
        if self.kind is Kind.RECENT and self.members and not members:
            return [] if tag is None else [Settle(tag, now)]  # nobody subscribes to it any more
        held = Held(parcel, self._number, now, now, tag, tagged_at=now)
        self._held[parcel.id] = held
        return [self._send(member, held) for member in members]

    def _tell(self, parcel: Parcel) -> list[Effect]:
        """Relay what the broker delivered, unless all goes back to it anyway."""
        self._told += 1
        if not self.peers or self.state is State.DRAINING:
            return []
        return [Copy(parcel, number=self._told)]

    def _take_copy(self, parcel: Parcel, now: float, *, repeat: bool = False) -> list[Effect]:
        held = self._held.get(parcel.id)
        if held is not None:
            if not repeat or held.tag is not None:
                return []
            held.sent_at = now
            again = parcel.message.redelivered
            return [Send(member, parcel, again) for member in self.members]
        if self.kind is Kind.RECENT and parcel.id in self._sent:
            return []
        return self._show(parcel, None, now)

    def _done(self, held: Held) -> list[Effect]:
        del self._held[held.parcel.id]
        return (
            [] if held.tag is None else [Settle(held.tag, held.tagged_at, trace=held.parcel.trace)]
        )
