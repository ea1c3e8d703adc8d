import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.edge.fallback.journal import End, Journal
from tapewire.edge.transport.frames import PING, TEXT, Message, deflate, frame, ping
from tapewire.edge.transport.unframed import Ping, Text, unframed

bodies = st.binary(max_size=70_000).filter(lambda body: b"\n" not in body and b"\r" not in body)


@given(st.lists(st.one_of(bodies.map(Text), st.binary(max_size=125).map(Ping)), max_size=6))
def test_frames_come_apart_as_they_were_joined(parts):
    joined = b"".join(
        frame(TEXT, part.body) if isinstance(part, Text) else frame(PING, part.payload)
        for part in parts
    )
    assert list(unframed(joined)) == parts


def test_a_message_stands_on_one_line():
    body = b'{\r\n "type": "heartbeat"\n}'
    (text,) = unframed(Message(body).plain)
    assert text == Text(b'{   "type": "heartbeat" }')


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"hello")[:-1],
        b"\x81",
        b"\x81\x7e\x00",
        frame(TEXT, deflate(b"x"), compressed=1),
    ],
    ids=["payload", "head", "length", "compressed"],
)
def test_what_is_no_plain_whole_frame_is_an_error(data):
    with pytest.raises(ValueError, match=r"cut off|compressed"):
        list(unframed(data))


def texts(*bodies):
    return b"".join(frame(TEXT, body) for body in bodies)


def test_entries_are_numbered_and_kept_until_dropped():
    journal = Journal()
    journal.write(texts(b"a", b"bb") + ping(b"7") + texts(b"ccc"))
    assert [(e.number, e.body) for e in journal.first(100)] == [(1, b"a"), (2, b"bb"), (3, b"ccc")]
    assert (len(journal), journal.size, journal.newest) == (3, 6, 3)
    journal.drop(2)
    journal.drop(1)
    assert [e.number for e in journal.first(100)] == [3]
    assert journal.size == 3


def test_batches_are_bounded_but_never_empty():
    journal = Journal()
    journal.write(texts(b"x" * 10, b"y" * 10, b"z" * 10))
    assert [e.number for e in journal.first(20)] == [1, 2]
    assert [e.number for e in journal.first(1)] == [1]


def test_a_ping_is_answered_once_by_the_receipt_of_all_before_it():
    journal = Journal()
    journal.write(texts(b"a") + ping(b"1") + texts(b"b") + ping(b"2"))
    assert journal.asked == 2
    assert journal.answered(0) == []
    assert journal.answered(1) == [b"1"]
    assert journal.answered(1) == []
    assert journal.answered(2) == [b"2"]
    assert (journal.pings, journal.asked) == (2, 2)


def test_the_first_end_stands():
    journal = Journal()
    journal.close(4000, "draining")
    journal.close(1006, "")
    assert journal.end == End(4000, "draining")
