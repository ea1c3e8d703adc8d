"""Recent trays: settled when pongs prove receipt, and at most a hundred shown."""

import pytest

from tapewire.edge.connection.effects import Kind, Send

from .trays import opened, parcel, sends, settles


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
