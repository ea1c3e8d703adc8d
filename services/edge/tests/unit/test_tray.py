"""The tray: what is sent, settled, shown again, and above all what is never settled."""

from tapewire.edge.connection.effects import Copy, Kind, RelayAcked, TellAcked
from tapewire.edge.mailbox.state import Event, State

from .trays import opened, parcel, sends, settles


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


def test_ack_before_the_message_settles_it_unseen():
    tray = opened()
    tray.join("a", 0)
    tray.ack(["1"], 0, by="a")
    effects = tray.deliver(parcel(1), 5, 0)
    assert (sends(effects), settles(effects)) == ([], [(5, False)])
    assert tray.copy(parcel(1), 0) == [RelayAcked(("1",))]
    assert tray.answer(parcel(1), 0) == [RelayAcked(("1",))]


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
