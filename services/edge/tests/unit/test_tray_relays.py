"""What edges tell each other of a tray: copies, acks, and relays that are missed."""

from tapewire.edge.connection.effects import Ask, Copy, Kind, RelayAcked

from .trays import opened, parcel, sends, settles, told


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


def test_holder_counts_what_it_delivers_whoever_listens():
    tray = opened()
    tray.deliver(parcel("a"), 1, 0)
    tray.peers.add("edge-2")
    copy = next(e for e in tray.deliver(parcel("b"), 2, 0) if isinstance(e, Copy))
    assert (copy.number, tray.told_so_far) == (2, 2)


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
