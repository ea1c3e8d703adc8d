"""The tray: what is sent, settled, relayed, and above all what is never settled."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tapewire.edge.connection.effects import (
    Ask,
    Copy,
    Kind,
    Parcel,
    RelayAcked,
    Send,
    Settle,
    Succeed,
    TellAcked,
)  # fmt: skip
from tapewire.edge.mailbox.state import Event, State
from tapewire.edge.mailbox.tray import Tray
from tapewire.edge.transport.frames import Message


def parcel(identifier, *, redelivered=False):
    body = b'{"id":"%s"}' % str(identifier).encode()
    return Parcel(
        str(identifier), Message(body), "tw.alerts", "alice.-.x.critical", "", redelivered
    )


def opened(kind=Kind.INBOX, interested=lambda member, parcel: True):
    tray = Tray("inbox.alice", kind, interested)
    tray.apply(Event.ATTACHED)
    return tray


def sends(effects):
    return [(e.member, e.parcel.id) for e in effects if isinstance(e, Send)]


def settles(effects):
    return [(e.tag, e.requeue) for e in effects if isinstance(e, Settle)]


def test_delivery_goes_to_every_member_and_is_settled_by_an_ack_only():
    tray = opened()
    tray.join("a", 0)
    tray.join("b", 0)
    effects = tray.deliver(parcel(1), 7, 0)
    assert sends(effects) == [("a", "1"), ("b", "1")]
    assert settles(effects) == []
    effects = tray.ack(["1"], 1, by="a")
    assert settles(effects) == [(7, False)]
    assert TellAcked("b", ("1",)) in effects
    assert not [e for e in effects if isinstance(e, TellAcked) and e.member == "a"]
    assert tray.ack(["1"], 2, by="b") == []


def test_late_member_gets_what_is_held_first_and_once():
    tray = opened()
    tray.join("a", 0)
    for n in range(3):
        tray.deliver(parcel(n), n + 1, 0)
    tray.ack(["1"], 0, by="a")
    assert sends(tray.join("b", 0)) == [("b", "0"), ("b", "2")]


def test_copies_reach_members_and_are_not_sent_again_when_this_edge_becomes_the_holder():
    tray = opened()
    tray.join("a", 0)
    assert sends(tray.copy(parcel(1), 0)) == [("a", "1")]
    assert tray.copy(parcel(1), 0) == []
    effects = tray.deliver(parcel(1, redelivered=True), 9, 0)
    assert effects == []
    assert settles(tray.ack(["1"], 0, by="a")) == [(9, False)]


def test_ack_of_a_copy_is_relayed_to_the_holder():
    tray = opened()
    tray.join("a", 0)
    tray.copy(parcel(1), 0)
    assert RelayAcked(("1",)) in tray.ack(["1"], 0, by="a")


def test_ack_before_the_message_settles_it_unseen():
    tray = opened()
    tray.join("a", 0)
    tray.ack(["1"], 0, by="a")
    effects = tray.deliver(parcel(1), 5, 0)
    assert (sends(effects), settles(effects)) == ([], [(5, False)])
    assert tray.copy(parcel(1), 0) == [RelayAcked(("1",))]
    assert tray.answer(parcel(1), 0) == [RelayAcked(("1",))]


def test_holder_relays_only_where_somebody_listens():
    tray = opened()
    tray.join("a", 0)
    assert not [e for e in tray.deliver(parcel(1), 1, 0) if isinstance(e, Copy)]
    tray.peers.add("edge-2")
    assert Copy(parcel(2)).parcel.id in [
        e.parcel.id for e in tray.deliver(parcel(2), 2, 0) if isinstance(e, Copy)
    ]


def test_relays_wait_for_the_holders_answer():
    tray = opened()
    tray.join("a", 0)
    tray.hold_back()
    assert tray.copy(parcel(3), 0) == []
    assert sends(tray.answer(parcel(1), 0)) == [("a", "1")]
    assert sends(tray.answer(parcel(2), 0)) == [("a", "2")]
    assert sends(tray.release(0)) == [("a", "3")]
    assert sends(tray.copy(parcel(4), 0)) == [("a", "4")]


def test_holder_to_be_shows_what_the_broker_brings_and_not_what_was_kept():
    tray = opened()
    tray.join("a", 0)
    tray.hold_back()
    tray.copy(parcel(2), 0)
    brought = [e for n in (1, 2, 3) for e in tray.deliver(parcel(n), n, 0)]
    assert sends(brought) == [("a", "1"), ("a", "2"), ("a", "3")]


def test_own_delivery_of_a_recent_message_ends_the_wait():
    tray = opened(Kind.RECENT)
    tray.join("a", 0)
    tray.hold_back()
    tray.copy(parcel(1), 0)
    assert sends(tray.deliver(parcel(2), 1, 0)) == [("a", "1"), ("a", "2")]


def test_what_was_acked_while_it_was_kept_is_not_shown():
    tray = opened()
    tray.join("a", 0)
    tray.hold_back()
    tray.copy(parcel(1), 0)
    tray.ack(["1"], 0)
    assert sends(tray.release(0)) == []


def test_older_wait_does_not_end_a_newer_one():
    tray = opened()
    tray.join("a", 0)
    older = tray.hold_back()
    tray.copy(parcel(1), 0)
    newer = tray.hold_back()
    assert tray.release(0, older) == []
    assert sends(tray.release(0, newer)) == [("a", "1")]


# Relays that are missed


def told(tray, number, teller="edge-1.1", **more):
    return tray.copy(parcel(number), 0, teller=teller, number=number, **more)


def test_holder_counts_what_it_delivers_whoever_listens():
    tray = opened()
    tray.deliver(parcel("a"), 1, 0)
    tray.peers.add("edge-2")
    copy = next(e for e in tray.deliver(parcel("b"), 2, 0) if isinstance(e, Copy))
    assert (copy.number, tray.told_so_far) == (2, 2)


def test_new_holder_relays_also_what_it_had_as_a_copy():
    """Who opened the tray since then was told by nobody: this edge did not hold it."""
    tray = opened()
    tray.join("a", 0)
    told(tray, 1)
    tray.peers.add("edge-3")
    effects = tray.deliver(parcel(1, redelivered=True), 1, 0)
    assert [(e.parcel.id, e.number) for e in effects if isinstance(e, Copy)] == [("1", 1)]
    assert sends(effects) == []


def test_relays_without_a_gap_ask_nothing():
    tray = opened()
    tray.join("a", 0)
    assert [sends(told(tray, n)) for n in (1, 2)] == [[("a", "1")], [("a", "2")]]


def test_missed_relay_has_the_holder_asked_and_the_newer_one_wait():
    tray = opened()
    tray.join("a", 0)
    told(tray, 1)
    assert told(tray, 4) == [Ask()]
    assert told(tray, 5) == []
    answered = [e for n in (1, 2, 3, 4, 5) for e in tray.answer(parcel(n), 0)]
    assert sends(answered) == [("a", "2"), ("a", "3"), ("a", "4"), ("a", "5")]
    assert tray.release(0) == []
    assert sends(told(tray, 6)) == [("a", "6")]


def test_opening_tray_that_missed_relays_asks_again_before_it_shows_what_is_newer():
    tray = opened()
    tray.join("a", 0)
    wait = tray.hold_back()
    assert told(tray, 4) == []
    assert tray.release(0, wait) == [Ask()]  # its time is up, and nobody has answered
    wait = tray.hold_back()
    assert told(tray, 5) == []
    answered = [e for n in (2, 3, 4, 5) for e in tray.answer(parcel(n), 0)]
    assert sends(answered) == [("a", "2"), ("a", "3"), ("a", "4"), ("a", "5")]
    assert tray.release(0, wait) == []


def test_opening_tray_that_missed_nothing_shows_what_it_kept_when_its_time_is_up():
    tray = opened()
    tray.join("a", 0)
    wait = tray.hold_back()
    told(tray, 1)
    assert sends(tray.release(0, wait)) == [("a", "1")]


def test_unknown_holder_that_begins_in_the_middle_is_asked():
    tray = opened()
    told(tray, 1)
    assert told(tray, 7, teller="edge-3.9") == [Ask()]


def test_answer_tells_how_far_its_holder_is():
    tray = opened()
    tray.join("a", 0)
    assert not tray.predecessor.is_known
    tray.predecessor.in_step("edge-1.1", 6)
    assert sends(told(tray, 7)) == [("a", "7")]


def test_mark_beyond_what_was_heard_asks_and_one_that_was_heard_does_not():
    tray = opened()
    told(tray, 1)
    assert tray.mark("edge-1.1", 1) == []
    assert tray.mark("edge-1.1", 3) == [Ask()]


def test_repetition_is_not_counted_and_a_holder_is_not_asked_by_a_holder():
    tray = opened()
    told(tray, 1)
    tray.copy(parcel(1), 0, repeat=True, teller="edge-1.1")
    tray.deliver(parcel(2), 1, 0)
    assert Ask() not in told(tray, 9)


def test_unacked_is_shown_again_with_a_mark_and_relayed_as_a_repetition():
    tray = opened()
    tray.join("a", 0)
    tray.peers.add("edge-2")
    tray.deliver(parcel(1), 1, 0)
    assert tray.resend(29.9) == []
    send, copy = tray.resend(30.0)
    assert b'"redelivered":true' in send.message.body
    assert copy == Copy(parcel(1), repeat=True)._replace(parcel=copy.parcel)
    assert tray.resend(31.0) == []


def test_repeated_copy_is_shown_again_a_new_holders_first_one_is_not():
    tray = opened()
    tray.join("a", 0)
    tray.copy(parcel(1), 0)
    assert tray.copy(parcel(1, redelivered=True), 1) == []
    assert sends(tray.copy(parcel(1), 1, repeat=True)) == [("a", "1")]


def test_copy_that_its_holder_stopped_repeating_is_forgotten_not_settled():
    tray = opened()
    tray.join("a", 0)
    tray.copy(parcel(1), 0)
    tray.deliver(parcel(2), 1, 0)
    effects = tray.resend(121.0)
    assert settles(effects) == []
    assert [held.parcel.id for held in tray.held] == ["2"]


def test_long_unsettled_is_requeued_in_order_and_not_shown_twice():
    tray = opened()
    tray.join("a", 0)
    for n in range(3):
        tray.deliver(parcel(n), n + 1, n)
    assert settles(tray.requeue(601.0)) == [(1, True), (2, True)]
    assert sends(tray.deliver(parcel(0, redelivered=True), 10, 601.0)) == []
    assert settles(tray.ack(["0", "1"], 602.0, by="a")) == [(10, False)]
    assert settles(tray.deliver(parcel(1, redelivered=True), 11, 602.0)) == [(11, False)]


def test_giving_back_keeps_order_and_settles_nothing():
    tray = opened()
    tray.join("a", 0)
    for n in range(3):
        tray.deliver(parcel(n), n + 1, 0)
    tray.leave("a")
    tray.apply(Event.EMPTIED)
    assert settles(tray.deliver(parcel(9), 9, 0)) == []
    assert settles(tray.give_back()) == [(1, True), (2, True), (3, True), (9, True)]


def test_what_comes_to_a_holder_that_gives_all_back_is_not_relayed():
    tray = opened()
    tray.peers.add("edge-2")
    tray.apply(Event.EMPTIED)
    assert tray.deliver(parcel(1), 1, 0) == []  # whoever is next gets it behind what is older
    assert settles(tray.give_back()) == [(1, True)]


def test_delivery_after_the_last_member_left_is_never_settled():
    for kind in Kind:
        tray = opened(kind)
        tray.join("a", 0)
        tray.skip = 1
        tray.leave("a")
        tray.apply(Event.EMPTIED)
        assert settles(tray.deliver(parcel(1), 1, 0)) == []
        assert settles(tray.give_back()) == [(1, True)]


def test_lost_broker_voids_the_tags():
    tray = opened()
    tray.join("a", 0)
    tray.deliver(parcel(1), 1, 0)
    tray.apply(Event.DETACHED)
    assert tray.state is State.OPENING
    assert settles(tray.ack(["1"], 0, by="a")) == []
    assert settles(tray.deliver(parcel(1), 1, 0)) == [(1, False)]


def test_up_to_covers_what_was_shown_before_it():
    tray = opened()
    tray.join("a", 0)
    for n in range(5):
        tray.deliver(parcel(n), n + 1, 0)
    assert tray.up_to("3") == ["0", "1", "2", "3"]
    tray.ack(["3"], 0, by="a")
    assert tray.up_to("3") == ["0", "1", "2"]
    assert tray.up_to("unknown") == ["unknown"]


def test_same_message_twice_in_the_queue_is_shown_once_and_settled_twice():
    tray = opened()
    tray.join("a", 0)
    tray.deliver(parcel(1), 1, 0)
    effects = tray.deliver(parcel(1), 2, 0)
    assert (sends(effects), settles(effects)) == ([], [(1, False)])
    assert settles(tray.ack(["1"], 0, by="a")) == [(2, False)]


# A change of holder


def heir():
    """A tray that another edge has told of number 1, and that the broker gives to this one now."""
    tray = opened()
    tray.join("a", 0)
    told(tray, 1)
    return tray


def test_what_was_on_its_way_to_the_last_holder_comes_before_what_is_new():
    tray = heir()
    effects = tray.deliver(parcel(4), 1, 0)
    assert (sends(effects), Succeed() in effects) == ([], True)
    assert sends(tray.deliver(parcel(2, redelivered=True), 2, 0)) == [("a", "2")]
    assert sends(tray.deliver(parcel(3, redelivered=True), 3, 0)) == [("a", "3")]
    assert sends(tray.succeed(0)) == [("a", "4")]
    assert sends(tray.deliver(parcel(5), 4, 0)) == [("a", "5")]


def test_what_another_device_acked_meanwhile_is_settled_unseen():
    tray = heir()
    tray.deliver(parcel(4), 1, 0)
    assert tray.is_holder
    tray.ack(["4"], 0)
    effects = tray.succeed(0)
    assert (sends(effects), settles(effects)) == ([], [(1, False)])


def test_what_was_kept_for_the_last_holders_sake_is_given_back_behind_the_rest():
    tray = heir()
    tray.deliver(parcel(4), 1, 0)
    tray.deliver(parcel(2, redelivered=True), 2, 0)
    tray.leave("a")
    tray.apply(Event.EMPTIED)
    assert settles(tray.give_back()) == [(2, True), (1, True)]
    assert tray.succeed(0) == []


def test_tray_whose_holder_says_that_it_closes_keeps_what_is_new_until_it_has_closed():
    tray = opened()
    tray.join("a", 0)
    tray.follow("edge-1")
    assert (tray.predecessor.node, tray.predecessor.wait) == ("edge-1", None)
    assert sends(tray.deliver(parcel(4), 1, 0)) == []
    assert tray.predecessor.wait is not None
    assert sends(tray.deliver(parcel(3, redelivered=True), 2, 0)) == [("a", "3")]
    assert sends(tray.succeed(0)) == [("a", "4")]
    assert (tray.predecessor.node, tray.predecessor.wait) == ("", None)


def test_lost_broker_takes_back_what_was_kept_for_the_last_holders_sake():
    tray = heir()
    tray.deliver(parcel(4), 1, 0)
    tray.apply(Event.DETACHED)
    assert tray.succeed(0) == []


def test_holder_that_follows_nobody_waits_for_nothing():
    tray = opened()
    tray.join("a", 0)
    assert tray.deliver(parcel(1), 1, 0)[0].parcel.id == "1"
    other = heir()
    other.succeed(0)  # the last one has said that it is closed
    assert sends(other.deliver(parcel(2), 1, 0)) == [("a", "2")]


# Recent trays


def test_recent_is_settled_when_a_pong_of_each_connection_proved_it():
    tray = opened(Kind.RECENT)
    tray.join("a", 0)
    tray.join("b", 0)
    sent = [e for e in tray.deliver(parcel(1), 1, 0) if isinstance(e, Send)]
    tray.deliver(parcel(2), 2, 0)
    assert [e.number for e in sent] == [1, 1]
    assert tray.received("a", 2) == []
    assert settles(tray.received("b", 1)) == [(1, False)]
    assert settles(tray.leave("b")) == [(2, False)]


def test_recent_that_nobody_proved_waits_for_the_next_one():
    tray = opened(Kind.RECENT)
    tray.join("a", 0)
    tray.join("b", 0)
    tray.deliver(parcel(1), 1, 0)
    assert tray.leave("a") == []
    assert tray.leave("b") == []
    assert sends(tray.join("c", 0)) == [("c", "1")]


def test_recent_of_a_channel_that_nobody_has_is_settled_unseen():
    tray = opened(Kind.RECENT, interested=lambda member, parcel: False)
    tray.join("a", 0)
    assert settles(tray.deliver(parcel(1), 1, 0)) == [(1, False)]


def test_hundred_and_first_of_a_full_tray_is_not_shown():
    tray = opened(Kind.RECENT)
    tray.skip = 1
    tray.join("a", 0)
    effects = tray.deliver(parcel(1), 1, 0)
    assert (sends(effects), settles(effects)) == ([], [(1, False)])
    assert sends(tray.deliver(parcel(2), 2, 0)) == [("a", "2")]


def test_recent_copy_that_was_shown_is_settled_when_the_tray_brings_it():
    tray = opened(Kind.RECENT)
    tray.join("a", 0)
    assert sends(tray.copy(parcel(1), 0)) == [("a", "1")]
    assert tray.received("a", 1) == []
    assert settles(tray.deliver(parcel(1), 4, 0)) == [(4, False)]


@pytest.mark.parametrize("kind", Kind)
def test_laggards_are_who_keeps_the_oldest(kind):
    tray = opened(kind)
    tray.join("a", 0)
    tray.join("b", 0)
    tray.deliver(parcel(1), 1, 0)
    tray.received("a", 1)
    assert tray.laggards() == (["b"] if kind is Kind.RECENT else [])


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
