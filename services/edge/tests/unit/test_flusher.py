"""What reaches whom, in which order: walks, connections' own queues, and both together."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewire.contracts.frames import CloseCode, Heartbeat, Unsubscribed
from tapewire.edge.connection import flusher as flushing
from tapewire.edge.connection import walk as walking
from tapewire.edge.connection.connection import Connection
from tapewire.edge.connection.flusher import Flusher
from tapewire.edge.connection.limits import Limits
from tapewire.edge.connection.session import Phase
from tapewire.edge.live.audience import Audience
from tapewire.edge.transport.frames import TEXT, Message, frame
from tapewire.edge.transport.unframed import Text, unframed
from tapewire.edge.transport.wire import Tally

OWN = frame(TEXT, b'{"type":"heartbeat"}')


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    """Two connections to a slice, and a walk however few hear: a handful is a crowd here."""
    for module in (walking, flushing):
        monkeypatch.setattr(module, "SLICE", 2)
    monkeypatch.setattr(flushing, "FEW", 0)


class Wire:
    compressed = False
    keeps_window = False

    def __init__(self):
        self.written = []
        self.broken = False

    def write(self, frames):
        if self.broken:
            raise RuntimeError("broken")
        self.written.append(frames)

    @property
    def straight(self):
        return self.write

    def hang_up(self, code, reason):
        self.written.append(code)

    @property
    def stream(self):
        return b"".join(frames for frames in self.written if isinstance(frames, bytes))

    @property
    def told(self):
        """The bodies of all messages, in order."""
        return [part.body.decode() for part in unframed(self.stream) if isinstance(part, Text)]


class Turn:
    """A loop that runs what is due when it is told to, and who hears what."""

    def __init__(self):
        self.due = []
        self.flusher = Flusher(self.due.append)
        self.tally = Tally()
        self.audience = Audience()

    def one(self):
        due, self.due[:] = self.due[:], []
        for call in due:
            call()

    def end(self):
        while self.due:
            self.one()

    def connection(self, *topics):
        wire = Wire()
        made = Connection(
            *(wire, self.flusher, self.tally, Limits()),
            now=0.0,
            address="",
            on_close=lambda one: self.audience.remove(one, one.topics),
        )
        made.session.phase = Phase.LIVE
        self.hold(made, topics)
        return made, wire

    def hold(self, connection, topics):
        self.audience.remove(connection, connection.topics)
        connection.topics = frozenset(topics)
        self.audience.add(connection, topics)

    def crowd(self, count, *topics):
        return [self.connection(*topics) for _ in range(count)]

    def share(self, topic, body=None):
        message = quote(topic) if body is None else Message(body)
        self.flusher.share(self.audience.of(topic), topic, message)


def quote(symbol):
    return Message(b'{"type":"market_data","symbol":"%s"}' % symbol.encode())


def frames(*symbols):
    return b"".join(quote(symbol).plain for symbol in symbols)


def test_messages_of_one_turn_are_one_write_to_all_who_hear_the_same():
    turn = Turn()
    crowd = turn.crowd(5, "A", "C")
    turn.hold(crowd[0][0], ("A", "B", "C"))
    for symbol in ("A", "B", "C"):
        turn.share(symbol)
    assert all(wire.written == [] for _, wire in crowd)
    turn.end()
    assert crowd[0][1].written == [frames("A", "C"), frames("B")]
    assert [wire.written for _, wire in crowd[1:]] == [[frames("A", "C")]] * 4
    assert turn.tally.live == 11
    assert turn.tally.bytes == len(frames("A", "C")) * 5 + len(frames("B"))


def test_a_message_that_comes_during_a_walk_goes_round_with_it():
    turn = Turn()
    crowd = turn.crowd(6, "A")
    turn.share("A", b"1")
    turn.one()
    turn.share("A", b"2")
    turn.one()
    turn.one()
    turn.one()
    assert turn.due == []
    assert [wire.told for _, wire in crowd] == [["1", "2"]] * 6
    assert [len(wire.written) for _, wire in crowd] == [2, 2, 1, 1, 1, 1]


def test_a_walk_under_way_keeps_nobody_waiting_who_came_later():
    turn = Turn()
    turn.crowd(6, "A")
    others = turn.crowd(2, "B")
    turn.share("A", b"1")
    turn.one()
    turn.share("B", b"2")
    for number in b"345":
        turn.share("A", b"%d" % number)
        turn.one()
    assert [wire.told for _, wire in others] == [["2"]] * 2


def test_a_topic_keeps_its_order_though_its_audience_changes_and_changes_back():
    turn = Turn()
    crowd = turn.crowd(6, "A")
    turn.share("A", b"1")
    turn.hold(crowd[-1][0], ())
    turn.share("A", b"2")
    turn.hold(crowd[-1][0], ("A",))
    turn.share("A", b"3")
    turn.end()
    assert [wire.told for _, wire in crowd[:-1]] == [["1", "2", "3"]] * 5
    assert crowd[-1][1].told == ["1", "3"]


def test_those_who_come_and_go_are_no_reason_for_a_walk_of_their_own(monkeypatch):
    monkeypatch.setattr(flushing, "NEARLY", 2)
    turn = Turn()
    crowd = turn.crowd(6, "A")
    turn.share("A", b"1")
    turn.one()
    crowd += turn.crowd(1, "A")
    turn.share("A", b"2")
    turn.hold(crowd[0][0], ())
    turn.hold(crowd[5][0], ())
    turn.share("A", b"3")
    assert len(turn.flusher.walks) == 1
    turn.end()
    assert crowd[0][1].told == ["1", "2"]
    assert [wire.told for _, wire in crowd[1:5]] == [["1", "2", "3"]] * 4
    assert [wire.told for _, wire in crowd[5:]] == [["1", "2"], ["2", "3"]]


def test_a_walk_whose_slices_would_grow_long_is_followed_by_another(monkeypatch):
    monkeypatch.setattr(flushing, "NEARLY", 1)
    turn = Turn()
    crowd = turn.crowd(2, "A")
    for number in range(4):
        turn.share("A", b"%d" % number)
        crowd += turn.crowd(1, "A")
    turn.one()
    assert len(turn.flusher.walks) == 1
    turn.end()
    heard = [wire.told for _, wire in crowd]
    assert heard[:2] == [["0", "1", "2", "3"]] * 2
    assert heard[2:] == [["1", "2", "3"], ["2", "3"], ["3"], []]


def test_when_too_much_waits_everybody_is_visited_before_more_is_read(monkeypatch):
    monkeypatch.setattr(flushing, "CROWDED", 3)
    turn = Turn()
    crowd = turn.crowd(6, "A")
    for number in range(4):
        turn.share("A", b"%d" % number)
    turn.one()
    assert turn.due == []
    assert [wire.told for _, wire in crowd] == [["0", "1", "2", "3"]] * 6


def test_what_few_hear_goes_by_their_own_queues(monkeypatch):
    monkeypatch.setattr(flushing, "FEW", 2)
    turn = Turn()
    (_, to_alice), (_, to_bob), (_, to_carol) = turn.crowd(2, "A", "B") + turn.crowd(1, "B")
    for symbol in ("A", "B", "A"):
        turn.share(symbol)
    assert len(turn.flusher.walks) == 1
    turn.end()
    assert to_alice.written == to_bob.written == [frames("A", "B", "A")]
    assert to_carol.written == [frames("B")]


def test_a_frame_of_its_own_keeps_its_place_among_quotes():
    turn = Turn()
    crowd = turn.crowd(5, "A", "B")
    alice, to_alice = crowd[3]
    turn.share("A")
    alice.say(Heartbeat())
    turn.share("B")
    turn.end()
    assert to_alice.stream == frames("A") + OWN + frames("B")
    assert all(wire.stream == frames("A", "B") for one, wire in crowd if one is not alice)
    turn.share("A")
    turn.share("B")
    turn.end()
    assert to_alice.written[-1] == frames("A", "B")


def test_a_frame_of_its_own_goes_before_what_a_walk_tells_later():
    turn = Turn()
    crowd = turn.crowd(6, "A")
    for number, (alice, to_alice) in enumerate(crowd):
        turn.share("A", b"1")
        turn.one()
        turn.share("A", b"2")
        alice.say(Heartbeat())
        turn.share("A", b"3")
        turn.end()
        assert to_alice.told[3 * number :] == ["1", "2", '{"type":"heartbeat"}', "3"]
    for number, (_, wire) in enumerate(crowd):
        told = ["1", "2", "3"] * 6
        told.insert(3 * number + 2, '{"type":"heartbeat"}')
        assert wire.told == told


def test_a_snapshot_stands_behind_what_came_before_it():
    turn = Turn()
    (alice, to_alice), *_ = reversed(turn.crowd(5, "A"))
    turn.share("A", b"old")
    turn.one()
    alice.live_message("snapshot", Message(b"snapshot"))
    turn.share("A", b"new")
    turn.end()
    assert to_alice.told == ["old", "snapshot", "new"]


def test_a_topic_is_silent_after_the_reply_to_its_unsubscription():
    turn = Turn()
    (alice, to_alice), *_ = reversed(turn.crowd(5, "A"))
    turn.share("A", b"1")
    turn.hold(alice, ())
    turn.share("A", b"2")
    alice.say(Unsubscribed(channels=["market:A"]))
    turn.end()
    assert to_alice.told[0] == "1"
    assert [told[:22] for told in to_alice.told[1:]] == ['{"type":"unsubscribed"']


def test_nothing_that_came_before_a_welcome_follows_it():
    turn = Turn()
    crowd = turn.crowd(4, "A")
    alice, to_alice = turn.connection("A")
    alice.session.phase = Phase.ATTACHING
    turn.share("A", b"1")
    turn.one()
    alice.welcome(Heartbeat())
    turn.share("A", b"2")
    turn.end()
    assert to_alice.told == ['{"type":"heartbeat"}', "2"]
    assert [wire.told for _, wire in crowd] == [["1", "2"]] * 4


def test_a_connection_that_lags_keeps_the_newest_of_each_symbol():
    turn = Turn()
    (alice, to_alice), *_ = turn.crowd(3, "A", "B")
    alice.on_pause()
    for symbol in ("A", "B", "A"):
        turn.share(symbol)
        turn.end()
    assert to_alice.written == []
    alice.on_resume()
    turn.end()
    assert to_alice.stream == frames("B", "A")
    assert turn.tally.conflated == 1


def test_what_was_due_goes_before_a_close_and_nothing_after_it():
    turn = Turn()
    crowd = turn.crowd(5, "A")
    alice, to_alice = crowd[-1]
    turn.share("A", b"1")
    turn.one()
    alice.close(CloseCode.DRAINING)
    turn.share("A", b"2")
    turn.end()
    assert to_alice.told == ["1"]
    assert to_alice.written[-1] is CloseCode.DRAINING
    assert [wire.told for _, wire in crowd[:-1]] == [["1", "2"]] * 4


def test_one_socket_that_fails_keeps_nobody_waiting():
    turn = Turn()
    crowd = turn.crowd(5, "A")
    turn.share("A", b"1")
    turn.end()
    crowd[2][1].broken = True
    turn.share("A", b"2")
    turn.end()
    assert [wire.told for at, (_, wire) in enumerate(crowd) if at != 2] == [["1", "2"]] * 4


TOPICS = ("A", "B", "C")
PEOPLE = 7
person = st.integers(0, PEOPLE - 1)
topics = st.sets(st.sampled_from(TOPICS))
steps = st.one_of(
    st.tuples(st.just("share"), st.sampled_from(TOPICS)),
    st.tuples(st.just("share"), st.sampled_from(TOPICS)),
    st.tuples(st.just("turn")),
    st.tuples(st.just("own"), person),
    st.tuples(st.just("hold"), person, topics),
    st.tuples(st.sampled_from(["pause", "resume", "close"]), person),
)


class Model:
    """What one connection must hear: frames of its own part it into stretches.

    Within a stretch all live messages come, each once, those of a topic in their order. While the
    connection lags, older ones of a topic may be missing.
    """

    def __init__(self):
        self.stretches = [[]]
        self.own = []
        self.lagging = False
        self.lagged = False
        self.closed = False

    def check(self, told):
        stretches = [[]]
        for one in told:
            if one in self.own:
                stretches.append([])
            else:
                stretches[-1].append(one)
        assert [one for one in told if one in self.own] == self.own
        if self.lagged:
            expected = [one for stretch in self.stretches for one in stretch]
            found = [one for stretch in stretches for one in stretch]
            assert not Counter(found) - Counter(expected)
            self._check_order(found)
            if not (self.lagging or self.closed):
                for topic in TOPICS:
                    assert by_topic(found, topic)[-1:] == by_topic(expected, topic)[-1:]
            return
        for found, expected in zip(stretches, self.stretches, strict=True):
            assert Counter(found) == Counter(expected)
            self._check_order(found)

    def _check_order(self, found):
        for topic in TOPICS:
            numbers = [int(one[1:]) for one in by_topic(found, topic)]
            assert numbers == sorted(set(numbers))


def by_topic(told, topic):
    return [one for one in told if one[0] == topic]


class Play:
    """Everybody, beside what each must hear."""

    def __init__(self, held):
        self.turn = Turn()
        self.people = [self.turn.connection(*sorted(mine)) for mine in held]
        self.models = [Model() for _ in held]

    def share(self, topic, body):
        for (one, _), model in zip(self.people, self.models, strict=True):
            if topic in one.topics and not model.closed:
                model.stretches[-1].append(body)
        self.turn.share(topic, body.encode())

    def happens(self, step, one, model, about):
        match step:
            case "own":
                model.own.append(about)
                model.stretches.append([])
                one._must(frame(TEXT, about.encode()))
            case "hold":
                self.turn.hold(one, sorted(about))
            case "pause":
                model.lagging = model.lagged = True
                one.on_pause()
            case "resume" if model.lagging:
                model.lagging = False
                one.on_resume()
            case "close":
                model.closed = True
                one.close(CloseCode.DRAINING)

    def take(self, number, step, *about):
        if step == "turn":
            self.turn.one()
        elif step == "share":
            self.share(about[0], f"{about[0]}{number}")
        elif not self.models[about[0]].closed:
            (one, _), model = self.people[about[0]], self.models[about[0]]
            self.happens(step, one, model, about[1] if step == "hold" else f"own{number}")

    def check(self):
        self.turn.end()
        assert not self.turn.flusher.walks
        for (_, wire), model in zip(self.people, self.models, strict=True):
            model.check(wire.told)
            if model.closed:
                assert wire.written[-1] is CloseCode.DRAINING


@settings(max_examples=100)
@given(
    st.lists(topics, min_size=PEOPLE, max_size=PEOPLE),
    st.lists(steps, max_size=60),
    st.sampled_from([2, 5, 100]),
    st.sampled_from([0, 2]),
    st.sampled_from([3, 512]),
)
def test_everyone_hears_what_is_for_them_once_and_in_order(held, steps, nearly, few, crowded):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flushing, "NEARLY", nearly)
        patch.setattr(flushing, "FEW", few)
        patch.setattr(flushing, "CROWDED", crowded)
        play = Play(held)
        for number, step in enumerate(steps):
            play.take(number, *step)
        play.check()
