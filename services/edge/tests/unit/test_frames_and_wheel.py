import json
import zlib

from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from tapewire.edge.connection.limits import Bucket, Handshakes
from tapewire.edge.runtime.wheel import Wheel
from tapewire.edge.transport.frames import (
    DEFLATE_MIN_BYTES,
    WINDOW_BITS,
    Joined,
    Message,
    deflate,
    ping,
)


def parse(data, *, compressed=False):
    """What the `websockets` library reads."""
    extensions = [PerMessageDeflate(True, True, 15, 15)] if compressed else []
    return next(parse_all(data, extensions))


def parse_all(data, extensions):
    reader = StreamReader()
    reader.feed_data(data)
    while reader.buffer:
        parser = Frame.parse(reader.read_exact, mask=False, extensions=extensions)
        try:
            next(parser)
        except StopIteration as done:
            yield done.value
            continue
        raise AssertionError("incomplete frame")


@given(st.integers(0, 70_000))
def test_frames_of_every_length_are_read_back(length):
    body = b"x" * length
    read = parse(Message(body).plain)
    assert (read.opcode, bytes(read.data), read.fin) == (Opcode.TEXT, body, True)


@given(st.binary(max_size=5000))
def test_compressed_frames_are_read_back(body):
    message = Message(body)
    assert bytes(parse(message.deflated, compressed=True).data) == body
    inflated = zlib.decompressobj(-15).decompress(deflate(body) + b"\x00\x00\xff\xff")
    assert inflated == body


@given(st.lists(st.lists(st.binary(max_size=2000), min_size=1, max_size=8), max_size=5))
def test_writes_in_a_row_are_read_by_a_client_that_keeps_its_window(writes):
    keeps_window = PerMessageDeflate(False, True, WINDOW_BITS, 15)
    for bodies in writes:
        joined = Joined([Message(body) for body in bodies])
        data = Message(b"alone " * 100).deflated + joined.deflated(in_a_row=True)
        read = [bytes(frame.data) for frame in parse_all(data, [keeps_window])]
        assert read == [b"alone " * 100, *bodies]


def test_messages_too_short_alone_are_compressed_in_a_row():
    bodies = [b'{"type":"market_data","symbol":"S%d","last":%d.25}' % (n, n) for n in range(20)]
    assert all(len(body) < DEFLATE_MIN_BYTES for body in bodies)
    joined = Joined([Message(body) for body in bodies])
    assert joined.deflated(in_a_row=False) == joined.plain
    assert len(joined.deflated(in_a_row=True)) < len(joined.plain) / 2
    assert joined.deflated(in_a_row=True) is joined.deflated(in_a_row=True)


def test_short_or_incompressible_messages_stay_plain():
    short = Message(b"a" * (DEFLATE_MIN_BYTES - 1))
    assert short.deflated is short.plain
    long = Message(b"a" * 1000)
    assert len(long.deflated) < len(long.plain) // 10
    assert long.deflated is long.deflated


def test_ping_carries_its_payload():
    read = parse(ping(b"42"))
    assert (read.opcode, bytes(read.data)) == (Opcode.PING, b"42")


@given(st.dictionaries(st.text(), st.integers()))
def test_redelivered_adds_one_field(fields):
    fields.pop("redelivered", None)
    message = Message(json.dumps(fields).encode() + b" ")
    assert json.loads(message.redelivered.body) == fields | {"redelivered": True}


@given(st.lists(st.tuples(st.floats(0, 50), st.booleans())), st.lists(st.floats(0, 5), max_size=40))
def test_wheel_calls_each_deadline_once_never_early_at_most_a_tick_late(deadlines, advances):
    wheel = Wheel(0.5, 100.0)
    called: dict[int, float] = {}
    now = 100.0
    for number, (delay, cancelled) in enumerate(deadlines):
        timer = wheel.after(delay, now, lambda n=number: n)
        if cancelled:
            timer.cancel()
    for step in [*advances, 100.0]:
        before, now = now, now + step
        for callback in wheel.advance(now):
            number = callback()
            assert number not in called
            called[number] = now
            due = 100.0 + deadlines[number][0]
            assert due <= now + 1e-6
            assert due + 1.0 + 1e-6 >= before
    assert set(called) == {n for n, (_, cancelled) in enumerate(deadlines) if not cancelled}
    assert len(wheel) == 0


@given(st.lists(st.floats(0, 3), max_size=200))
def test_bucket_never_gives_more_than_its_rate_and_burst(gaps):
    bucket = Bucket(10.0, 20.0, 0.0)
    now, given_ = 0.0, 0
    for gap in gaps:
        now += gap
        given_ += bucket.take(now) == 0.0
    assert given_ <= 20 + 10 * now + 1e-6


def test_bucket_recovers_from_its_deepest_debt():
    bucket = Bucket(10.0, 20.0, 0.0)
    while not bucket.exhausted:
        bucket.take(0.0)
    assert bucket.take(5.2) == 0.0


def test_handshakes_are_counted_by_address():
    handshakes = Handshakes(2.0)
    assert sum(handshakes.allow("a", 0.0) for _ in range(50)) == 10
    assert handshakes.allow("b", 0.0)
    assert handshakes.allow("a", 60.0)
