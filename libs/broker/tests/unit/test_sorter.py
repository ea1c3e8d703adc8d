"""However the socket cuts its bytes, each frame goes where it belongs."""

import asyncio
from itertools import pairwise

import pytest
from aiormq import spec
from aiormq.exceptions import AMQPError, ChannelInvalidStateError
from hypothesis import given
from hypothesis import strategies as st
from pamqp import frame as amqp
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from tapewire.broker import Tap, header, wire
from tapewire.broker.tap import _Consumer
from tapewire.broker.wire import Sorter


class Channel:
    """What a tap knows of aiormq's channel."""

    def __init__(self, number):
        self.number = number
        self.is_closed = False
        self.consumers = {}


class Written:
    """What a tap writes to."""

    def __init__(self):
        self.data = b""

        self.closed = []

    def write(self, data):
        self.data += data

    def close(self, channel):
        self.closed.append(channel)


def delivered(channel, number, body, tag="ours"):
    """The frames of one delivery, its body in pieces of at most 7 bytes."""
    deliver = spec.Basic.Deliver(consumer_tag=tag, delivery_tag=number, routing_key=f"k.{number}")
    pieces = [deliver, ContentHeader(body_size=len(body))]
    pieces += [ContentBody(body[at : at + 7]) for at in range(0, len(body), 7)]
    return [amqp.marshal(piece, channel) for piece in pieces]


def consume(tap, handler, deaf_to=b""):
    tap._consumers[b"ours"] = _Consumer(handler, deaf_to)


def everything(sorter):
    return bytes(sorter._buffer)


@given(
    st.lists(st.tuples(st.sampled_from(["tapped", "other", "foreign"]), st.binary(max_size=40))),
    st.lists(st.integers(1, 400)),
)
def test_deliveries_are_taken_and_all_else_is_left_however_it_is_cut(messages, cuts):
    async def run():
        sorter, got = Sorter(), []
        tap = sorter.taps[1] = Tap(Written(), Channel(1))
        consume(
            tap,
            lambda message: got.append((message.delivery_tag, message.routing_key, message.body)),
        )
        data, left, wanted = b"", b"", []
        for number, (kind, body) in enumerate(messages, 1):
            if kind == "tapped":
                data += b"".join(delivered(1, number, body))
                wanted.append((number, f"k.{number}", body))
                continue
            # aiormq's: another channel, or another consumer of the tapped one.
            frames = (
                delivered(2, number, body)
                if kind == "other"
                else delivered(1, number, body, tag="not ours")
            )
            data += b"".join(frames)
            left += b"".join(frames)
        at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        for start, end in pairwise(at):
            sorter.feed_data(data[start:end])
        assert got == wanted
        assert everything(sorter) == left

    asyncio.run(run())


async def test_answers_come_in_order_and_what_was_given_up_is_let_go():
    sorter, written = Sorter(), Written()
    tap = sorter.taps[1] = Tap(written, Channel(1))
    first, second = tap.ask_all([spec.Queue.Declare(queue="a", passive=True)] * 2)
    first.cancel()
    for count in (1, 2):
        answer = spec.Queue.DeclareOk(queue="a", message_count=count, consumer_count=0)
        sorter.feed_data(amqp.marshal(answer, 1))
    assert (await second).message_count == 2
    assert everything(sorter) == b""


async def test_question_that_is_not_answered_by_its_deadline_ends_the_channel():
    sorter, written = Sorter(), Written()
    tap = sorter.taps[1] = Tap(written, Channel(1))
    tap.deadline_s = 0.05
    answered, late = tap.ask(spec.Basic.Qos()), tap.ask(spec.Basic.Qos())
    sorter.feed_data(amqp.marshal(spec.Basic.QosOk(), 1))
    assert await answered is None
    async with asyncio.timeout(30):
        with pytest.raises(TimeoutError):
            await late
    assert tap.is_closed
    assert written.closed == [tap.channel]


async def test_deadline_is_the_oldest_open_questions_own():
    sorter = Sorter()
    tap = sorter.taps[1] = Tap(Written(), Channel(1))
    tap.deadline_s = 3600
    tap.ask(spec.Basic.Qos())
    sorter.feed_data(amqp.marshal(spec.Basic.QosOk(), 1))
    younger = tap.ask(spec.Basic.Qos())
    tap._look()  # as when the first one's time has come
    assert not tap.is_closed
    assert tap._late is not None  # and looks again at the younger one's
    sorter.feed_data(amqp.marshal(spec.Basic.QosOk(), 1))
    await younger
    tap._look()
    assert tap._late is None  # nothing is open


async def test_refusal_fails_all_that_was_asked_and_reaches_aiormq():
    sorter = Sorter()
    tap = sorter.taps[1] = Tap(Written(), Channel(1))
    asked = tap.ask_all([spec.Queue.Declare(queue="a", passive=True)] * 2)
    close = amqp.marshal(
        spec.Channel.Close(reply_code=404, reply_text="no queue 'a'", class_id=50, method_id=10), 1
    )
    sorter.feed_data(close)
    for answer in asked:
        with pytest.raises(AMQPError, match="no queue"):
            await answer
    assert tap.is_closed
    assert everything(sorter) == close
    with pytest.raises(ChannelInvalidStateError):
        tap.ask(spec.Basic.Qos())


async def test_what_still_comes_on_an_abandoned_channel_does_not_reach_aiormq():
    sorter, written = Sorter(), Written()
    tap = sorter.taps[1] = Tap(written, Channel(1))
    consume(tap, lambda _: None)
    asked = tap.ask_all([spec.Basic.Qos(prefetch_count=1)] * 20)
    first, *rest = delivered(1, 1, b"body")
    sorter.feed_data(first)
    tap.abandon()
    closed = amqp.marshal(spec.Channel.CloseOk(), 1)
    answers = [amqp.marshal(spec.Basic.QosOk(), 1)] * 20
    sorter.feed_data(b"".join([*rest, *answers, closed]))
    for answer in asked:
        with pytest.raises(ChannelInvalidStateError):
            await answer
    assert everything(sorter) == closed
    assert written.closed == [tap.channel]


async def test_aiormq_hears_that_the_broker_is_alive_when_all_frames_are_taken(monkeypatch):
    sorter = Sorter()
    tap = sorter.taps[1] = Tap(Written(), Channel(1))
    consume(tap, lambda _: None)
    now = sorter._alive_at
    monkeypatch.setattr(wire, "monotonic", lambda: now)
    frames = b"".join(delivered(1, 1, b"body"))
    sorter.feed_data(frames)
    assert everything(sorter) == b""
    now += wire.SIGN_OF_LIFE_S + 0.1
    sorter.feed_data(frames)
    assert everything(sorter) == Heartbeat().marshal()


async def test_what_a_consumer_is_deaf_to_is_let_go_and_nothing_else():
    sorter, got = Sorter(), []
    tap = sorter.taps[1] = Tap(Written(), Channel(1))
    consume(tap, lambda message: got.append(message.body), header("node", "edge-1"))

    def said(number, node, body):
        method, _, *bodies = delivered(1, number, body)
        given = spec.Basic.Properties(headers={"node": node, "x": True}, message_type="relay")
        head = ContentHeader(body_size=len(body), properties=given)
        return [method, amqp.marshal(head, 1), *bodies]

    for number, (node, body) in enumerate(
        [("edge-1", b"mine"), ("edge-2", b"hers"), ("edge-1", b""), ("edge-1", b"mine" * 9)]
    ):
        sorter.feed_data(b"".join(said(number, node, body)))
    sorter.feed_data(b"".join(said(9, "edge-10", b"another's, whose name begins as mine")))
    sorter.feed_data(b"".join(delivered(1, 10, b"without a node")))
    assert got == [b"hers", b"another's, whose name begins as mine", b"without a node"]
    assert everything(sorter) == b""


@pytest.mark.parametrize(
    "strange", [b"AMQP\x00\x00\x09\x01", b"\x01\x00\x01\x00\x00\x00\x01xx", b"HTTP/1.1 400\r\n"]
)
async def test_what_is_no_amqp_is_left_to_aiormq(strange):
    sorter = Sorter()
    sorter.feed_data(strange + b"more")
    sorter.feed_data(b" and more")
    assert everything(sorter) == strange + b"more and more"


async def test_consumer_whose_handler_fails_gets_the_next_message():
    sorter, got = Sorter(), []

    def take(message):
        got.append(message.delivery_tag)
        if message.delivery_tag == 1:
            raise ValueError("bad message")

    tap = sorter.taps[1] = Tap(Written(), Channel(1))
    consume(tap, take)
    sorter.feed_data(b"".join(delivered(1, 1, b"a") + delivered(1, 2, b"")))
    assert got == [1, 2]
