from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.auth import Claims
from tapewire.contracts import escape
from tapewire.edge.connection.channels import Plan, Refused, is_live, plan, topics_of

ALL = frozenset({"md:read", "session:read", "alerts:ack"})
ids = st.text(min_size=1, max_size=40)


def claims(subject="alice", scopes=ALL, supervises=()):
    return Claims(
        subject, frozenset(scopes), frozenset(supervises), datetime.max.replace(tzinfo=UTC)
    )


def matches(pattern, key):
    """Topic matching for patterns without `#`."""
    words, wanted = key.split("."), pattern.split(".")
    return len(words) == len(wanted) and all(
        p == "*" or p == w for p, w in zip(wanted, words, strict=True)
    )


@pytest.mark.parametrize(
    ("channel", "code"),
    [
        ("user:bob", "forbidden"),
        ("sessions:bob", "forbidden"),
        ("sessions:all", "forbidden"),
        ("user:all", "forbidden"),
        ("sessions:*", "forbidden"),
        ("sessions:", "unknown_channel"),
        ("market:", "unknown_channel"),
        ("market:A,B", "unknown_channel"),
        ("system:", "unknown_channel"),
        ("", "unknown_channel"),
        ("everything", "unknown_channel"),
    ],
)
def test_channel_that_is_not_given(channel, code):
    assert plan(channel, claims()) == Refused(code)


@pytest.mark.parametrize(
    ("channel", "scope"),
    [("sessions:alice", "session:read"), ("session:s", "session:read"), ("market:SPY", "md:read")],
)
def test_scope_is_needed(channel, scope):
    assert isinstance(plan(channel, claims()), Plan)
    assert plan(channel, claims(scopes=ALL - {scope})) == Refused("forbidden")


@given(ids, ids, st.sampled_from(["user", "sessions", "session", "market", "system"]), ids)
def test_no_channel_reaches_another_users_events(subject, other, kind, name):
    given_ = plan(f"{kind}:{name}", claims(subject))
    if isinstance(given_, Refused) or escape(other) == escape(subject):
        return
    for binding in (*given_.live, *given_.recent):
        if binding.source != "tw.market":
            key = f"{escape(other)}.{escape(name)}.decision.buy"
            assert not matches(binding.routing_key, key)
            assert binding.routing_key.split(".")[0] in (escape(subject), "all")


@given(ids, ids)
def test_delivery_let_in_by_a_plan_finds_its_subscriber(subject, session):
    for channel in (f"sessions:{subject}", f"session:{session}", f"user:{subject}", "system"):
        given_ = plan(channel, claims(subject))
        assert isinstance(given_, Plan) or len(session) > 64
        for binding in (*given_.live, *given_.recent):
            key = ".".join(
                escape(session) if (word == "*" and n == 1) else word.replace("*", "x")
                for n, word in enumerate(binding.routing_key.split("."))
            )
            assert set(topics_of(binding.source, key)) & set(given_.topics)


def test_supervisors_session_channel_covers_each_user():
    given_ = plan("session:s-1", claims("boss", supervises=["alice", "bob"]))
    assert isinstance(given_, Plan)
    assert given_.topics == ("session:boss.s-1", "session:alice.s-1", "session:bob.s-1")


def test_supervised_users_critical_alerts_come_as_recent_ones():
    own = plan("user:boss", claims("boss", supervises=["alice"]))
    other = plan("user:alice", claims("boss", supervises=["alice"]))
    assert isinstance(own, Plan)
    assert isinstance(other, Plan)
    assert {b.routing_key.rpartition(".")[2] for b in own.recent} == {"info", "warning"}
    assert {b.routing_key.rpartition(".")[2] for b in other.recent} == {
        "info", "warning", "critical", "emergency",
    }  # fmt: skip


def test_only_status_is_live():
    assert is_live("tw.events", "alice.s-1.session.status")
    assert not is_live("tw.events", "alice.s-1.session.started")
    assert not is_live("tw.alerts", "alice.s-1.loss_limit.warning")
