"""An inbox tray in any interleaving: nothing is lost, and order stands."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tapewire.edge.connection.effects import Send, Settle
from tapewire.edge.mailbox.state import Event, State

from .trays import opened, parcel, sends, settles


class InboxNeverLoses(RuleBasedStateMachine):
    """A broker and an edge's inbox tray, in any interleaving.

    A message leaves the broker only if some client acked its id; every connection is shown each
    message that is open while it is connected, first showings in the order of the queue.
    """

    def __init__(self):
        super().__init__()
        self.queue: list[int] = []  # ready, in order
        self.unsettled: dict[int, int] = {}  # tag -> message
        self.acked: set[int] = set()
        self.lost: set[int] = set()
        self.made = 0
        self.tag = 0
        self.now = 0.0
        self.shown: dict[str, list[int]] = {}
        self.tray = opened()

    def perform(self, effects):
        requeued = []
        for effect in effects:
            match effect:
                case Send(member, one, _, _):
                    if int(one.id) not in self.shown[member]:
                        self.shown[member].append(int(one.id))
                case Settle(tag, _, requeue):
                    message = self.unsettled.pop(tag)
                    if requeue:
                        requeued.append(message)
                    elif message not in self.acked:
                        self.lost.add(message)
        self.queue = requeued + self.queue

    @rule()
    def raise_alert(self):
        self.queue.append(self.made)
        self.made += 1

    @precondition(lambda self: self.queue and self.tray.state is State.OPEN)
    @rule()
    def deliver(self):
        message = self.queue.pop(0)
        self.tag += 1
        self.unsettled[self.tag] = message
        self.perform(self.tray.deliver(parcel(message), self.tag, self.now))

    @rule(member=st.sampled_from("abc"))
    def join(self, member):
        if member not in self.shown:
            self.shown[member] = []
            self.perform(self.tray.join(member, self.now))

    @rule(member=st.sampled_from("abc"))
    def leave(self, member):
        if self.shown.pop(member, None) is not None:
            self.perform(self.tray.leave(member))

    @rule(member=st.sampled_from("abc"), pick=st.integers(0, 20), up_to=st.booleans())
    def ack(self, member, pick, up_to):
        shown = self.shown.get(member)
        if not shown:
            return
        position = pick % len(shown)
        ids = [str(shown[position])]
        meant = {shown[position]}
        if up_to:
            ids += self.tray.up_to(ids[0])
            meant |= set(shown[: position + 1])
            assert set(map(int, ids)) <= meant | self.acked
        self.acked |= set(map(int, ids))
        self.perform(self.tray.ack(ids, self.now, by=member))

    @rule()
    def remote_copy_of_an_open_message(self):
        for message in self.queue[:2]:
            self.perform(self.tray.copy(parcel(message), self.now))

    @precondition(lambda self: self.tray.state is State.OPEN)
    @rule()
    def lose_the_broker(self):
        self.tray.apply(Event.DETACHED)
        self.queue = sorted([*self.unsettled.values(), *self.queue])
        self.unsettled.clear()
        self.tray.apply(Event.ATTACHED)

    @rule(seconds=st.sampled_from([1.0, 31.0, 601.0]))
    def time_passes(self, seconds):
        self.now += seconds
        self.perform(self.tray.resend(self.now))
        self.perform(self.tray.requeue(self.now))

    @rule()
    def everyone_leaves_and_the_mailbox_opens_again(self):
        for member in list(self.shown):
            self.leave(member)
        self.tray.apply(Event.EMPTIED)
        self.perform(self.tray.give_back())
        assert not self.unsettled
        self.tray = opened()

    @invariant()
    def nothing_unacked_has_left_the_broker(self):
        assert not self.lost
        there = set(self.queue) | set(self.unsettled.values())
        assert set(range(self.made)) - there <= self.acked

    @invariant()
    def what_the_holder_holds_is_on_every_screen(self):
        held = [int(h.parcel.id) for h in self.tray.held]
        for shown in self.shown.values():
            assert set(held) <= set(shown)


InboxNeverLoses.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestInboxNeverLoses = InboxNeverLoses.TestCase


@given(st.permutations(range(6)), st.integers(0, 6))
def test_order_of_first_showing_is_the_order_of_the_queue(acks, joined_at):
    tray = opened()
    tray.join("a", 0)
    seen = []
    for n in range(6):
        if n == joined_at:
            seen += [i for m, i in sends(tray.join("b", 0)) if m == "b"]
        seen += [i for m, i in sends(tray.deliver(parcel(n), n + 1, 0)) if m == "b"]
    assert seen == [str(n) for n in range(6)] if joined_at < 6 else seen == []
    effects = [e for n in acks for e in tray.ack([str(n)], 0, by="a")]
    assert sorted(settles(effects)) == [(n + 1, False) for n in range(6)]
