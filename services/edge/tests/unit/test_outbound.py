from hypothesis import given
from hypothesis import strategies as st

from tapewire.edge.mailbox.ledger import Ledger
from tapewire.edge.transport.outbound import Outbound


def test_what_is_due_in_one_turn_is_one_write():
    outbound = Outbound()
    outbound.must(b"a")
    outbound.live("k", b"b")
    outbound.live("k", b"c")
    assert outbound.recent(b"d")
    assert outbound.take() == b"abcd"
    assert not outbound
    assert outbound.take() == b""


def test_lagging_connection_gets_the_newest_of_each_key_later():
    outbound = Outbound()
    outbound.pause()
    for n in range(3):
        outbound.live("SPY", b"s%d" % n)
        outbound.live("QQQ", b"q%d" % n)
    assert outbound.take() == b""
    assert (outbound.waiting, outbound.conflated) == (2, 4)
    outbound.resume()
    assert outbound.take() == b"s2q2"


def test_lagging_connection_gets_every_recent_message_in_order_or_is_too_slow():
    outbound = Outbound(recent_waiting=3)
    outbound.pause()
    assert all(outbound.recent(b"%d" % n) for n in range(3))
    assert not outbound.recent(b"x")
    outbound.must(b"!")
    assert outbound.take() == b"!"
    outbound.resume()
    assert outbound.take() == b"012"


@given(st.lists(st.sampled_from(["must", "recent", "live", "pause", "resume", "take"])))
def test_nothing_that_must_arrive_is_lost_or_reordered(steps):
    outbound = Outbound(recent_waiting=1000)
    written = b""
    expected = {"must": [], "recent": []}
    for number, step in enumerate(steps):
        match step:
            case "must" | "recent":
                getattr(outbound, step)(b"<%s%d>" % (step[0].encode(), number))
                expected[step].append(b"<%s%d>" % (step[0].encode(), number))
            case "live":
                outbound.live("k", b"")
            case "take":
                written += outbound.take()
            case _:
                getattr(outbound, step)()
    outbound.resume()
    written += outbound.take()
    for kind, mark in (("must", b"<m"), ("recent", b"<r")):
        found = [b"<" + part for part in written.split(b"<")[1:] if (b"<" + part).startswith(mark)]
        assert found == expected[kind]


@given(st.lists(st.integers(0, 30)))
def test_ledger_remembers_the_newest(ids):
    ledger = Ledger(limit=10)
    order: list[int] = []
    for number in ids:
        ledger.add(str(number), number)
        order = [n for n in order if n != number] + [number]
    assert len(ledger) == min(10, len(order))
    for number in order[-10:]:
        assert str(number) in ledger
        assert ledger.get(str(number)) == number
    for number in order[:-10]:
        assert str(number) not in ledger
