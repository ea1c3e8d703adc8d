import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.contracts.frames import Ack, Authenticate, CloseCode, Error, Heartbeat, Subscribe
from tapewire.edge.connection.limits import Limits
from tapewire.edge.connection.session import BadMessage, Do, Hang, Phase, Say, Session, decode


def live(**limits):
    session = Session(Limits(**limits), 0.0)
    session.phase = Phase.LIVE
    return session


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{", None),
        ("[]", None),
        ("null", None),
        (None, None),
        ('{"id":1}', "type"),
        ('{"type":"dance","id":1}', "type"),
        ('{"type":"subscribe"}', "channels"),
        ('{"type":"subscribe","channels":[]}', "channels"),
        ('{"type":"subscribe","channels":["a",7]}', "channels.1"),
        ('{"type":"ack"}', "ids"),
        ('{"type":"command","command":"emergency_stop"}', "sessionId"),
        ('{"type":"command","command":"dance","sessionId":"s","idempotencyKey":"k"}', "command"),
        ('{"type":"authenticate"}', "token"),
    ],
)
def test_bad_message_names_its_field(text, field):
    with pytest.raises(BadMessage) as bad:
        decode(text)
    assert bad.value.field == field


def test_bad_message_echoes_the_id():
    [say] = live().receive('{"type":"subscribe","id":"x"}', 0.0)
    assert isinstance(say, Say)
    assert isinstance(say.frame, Error)
    assert say.frame.id == "x"


def test_requests_are_handed_on_once_live():
    assert live().receive('{"type":"ack","upTo":"a"}', 0.0) == [Do(Ack(up_to="a"))]
    assert live().receive('{"type":"subscribe","channels":["system"],"more":1}', 0.0) == [
        Do(Subscribe(channels=["system"]))
    ]


def test_heartbeat_is_answered_in_every_phase_but_closed():
    for phase in Phase:
        session = Session(Limits(), 0.0)
        session.phase = phase
        expected = [] if phase is Phase.CLOSED else [Say(Heartbeat())]
        assert session.receive('{"type":"heartbeat"}', 0.0) == expected


@pytest.mark.parametrize("phase", Phase)
def test_authenticate_is_understood_only_while_waiting(phase):
    session = Session(Limits(), 0.0)
    session.phase = phase
    actions = session.receive('{"type":"authenticate","token":"t"}', 0.0)
    if phase is Phase.WAITING:
        assert actions == [Do(Authenticate(token="t"))]
    else:
        assert not any(isinstance(action, Do) for action in actions)


def test_repeated_bad_messages_end_the_connection():
    session = live(bad_messages=3)
    for _ in range(3):
        assert not any(isinstance(a, Hang) for a in session.receive("{", 0.0))
    assert Hang(CloseCode.BAD_MESSAGE) in session.receive("{", 0.0)


def test_one_bad_message_now_and_then_does_not():
    session = live(bad_messages=3)
    for minute in range(50):
        assert not any(isinstance(a, Hang) for a in session.receive("{", minute * 60.0))


def test_too_many_messages_are_refused_then_the_connection_ends():
    session = live(messages_per_s=10)
    replies = [
        session.receive('{"type":"unsubscribe","channels":["a"]}', 0.0)[0] for _ in range(90)
    ]
    assert all(isinstance(reply, Do) for reply in replies[:20])
    refused = replies[20]
    assert isinstance(refused, Say)
    assert isinstance(refused.frame, Error)
    assert refused.frame.code == "rate_limited"
    assert refused.frame.retryable
    assert (refused.frame.retry_after_ms or 0) >= 100
    assert replies[-1] == Hang(CloseCode.RATE_LIMITED)


def test_acks_are_cheap():
    session = live(messages_per_s=10)
    assert all(
        isinstance(session.receive('{"type":"ack","ids":["a"]}', 0.0)[0], Do) for _ in range(900)
    )


@given(st.one_of(st.text(), st.binary().map(lambda b: b.decode("latin-1"))))
def test_no_text_breaks_a_session(text):
    assert isinstance(live().receive(text, 0.0), list)
