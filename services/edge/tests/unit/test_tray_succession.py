"""A tray that another edge held before: what is older comes first."""

from tapewire.edge.connection.effects import Copy, Succeed
from tapewire.edge.mailbox.state import Event

from .trays import opened, parcel, sends, settles, told


def heir():
    """A tray that another edge has told of number 1, and that the broker gives to this one now."""
    tray = opened()
    tray.join("a", 0)
    told(tray, 1)
    return tray


def test_new_holder_relays_also_what_it_had_as_a_copy():
    """Who opened the tray since then was told by nobody: this edge did not hold it."""
    tray = opened()
    tray.join("a", 0)
    told(tray, 1)
    tray.peers.add("edge-3")
    effects = tray.deliver(parcel(1, redelivered=True), 1, 0)
    assert [(e.parcel.id, e.number) for e in effects if isinstance(e, Copy)] == [("1", 1)]
    assert sends(effects) == []


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
