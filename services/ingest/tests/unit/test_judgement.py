import json
from datetime import UTC, datetime

import pytest

from tapewire.contracts import MAX_EVENT_BYTES, FieldError, quality_of
from tapewire.ingest.examples import EXAMPLES
from tapewire.ingest.judgement import (
    MAX_ERRORS,
    MAX_FIELD_CHARS,
    MAX_MESSAGE_CHARS,
    Fit,
    Identity,
    Unfit,
    destinations,
    judge,
)
from tapewire.ingest.openapi import PRODUCED

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TRADE = EXAMPLES["trade_executed"]


def judged(raw, **options):
    return judge(raw, now=lambda: NOW, make_id=lambda: "made-1", **options)


@pytest.mark.parametrize("name", sorted(PRODUCED))
def test_the_example_of_every_event_that_producers_send_is_fit(name):
    verdict = judged(EXAMPLES[name])
    assert isinstance(verdict, Fit)
    assert verdict.event.type == name


def test_there_is_no_example_of_what_producers_may_not_send():
    assert set(EXAMPLES) == set(PRODUCED)


def test_text_and_decoded_object_are_judged_alike():
    assert judged(json.dumps(TRADE).encode()) == judged(TRADE)


def test_id_and_time_are_stamped_where_they_are_absent():
    verdict = judged(TRADE)
    assert isinstance(verdict, Fit)
    assert (verdict.event.id, verdict.event.timestamp) == ("made-1", NOW)


def test_a_made_id_identifies_nothing():
    assert judged(TRADE).identity is None


def test_a_given_id_identifies_the_event_of_its_user():
    assert judged(TRADE | {"id": "t-1"}).identity == Identity("alice", "t-1")
    assert judged(EXAMPLES["market_data"] | {"id": "t-1"}).identity == Identity(None, "t-1")


def test_the_envelope_gives_an_id_to_an_event_without_one():
    verdict = judged(TRADE, own_id="m-1")
    assert (verdict.event.id, verdict.identity) == ("m-1", Identity("alice", "m-1"))
    assert judged(TRADE | {"id": "t-1"}, own_id="m-1").event.id == "t-1"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price": -1}, "price"),
        ({"type": "tarde_executed"}, "type"),
        ({"userId": ""}, "userId"),
        ({"colour": "red"}, "colour"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"id": "x" * 65}, "id"),
    ],
)
def test_what_is_wrong_is_named_by_field(change, field):
    verdict = judged(TRADE | change)
    assert isinstance(verdict, Unfit)
    assert [error.field for error in verdict.errors] == [field]
    assert not verdict.forbidden


@pytest.mark.parametrize("raw", [5, None, "text", [TRADE], b"5", b"[1]", b"", b"{", b"\xff\xfe"])
def test_what_is_no_object_is_refused_as_a_whole(raw):
    verdict = judged(raw)
    assert isinstance(verdict, Unfit)
    assert [error.field for error in verdict.errors] == [""]


@pytest.mark.parametrize("form", [dict, lambda event: json.dumps(event).encode()])
def test_a_refused_event_keeps_the_id_that_it_said(form):
    assert judged(form(TRADE | {"price": -1, "id": "t-1"})).id == "t-1"
    assert judged(form(TRADE | {"price": -1, "id": 7})).id is None
    assert judged(form(TRADE | {"price": -1, "id": "x" * 5000})).id == "x" * 64


@pytest.mark.parametrize("form", [dict, lambda event: json.dumps(event).encode()])
def test_what_is_longer_than_an_event_may_be_is_refused(form):
    verdict = judged(form(TRADE | {"orderId": "x" * MAX_EVENT_BYTES}))
    assert verdict.errors == (FieldError("", f"longer than {MAX_EVENT_BYTES} bytes"),)


def test_errors_are_bounded_whatever_the_producer_sends():
    verdict = judged(TRADE | {f"{n}" * 300: 1 for n in range(10, 60)})
    assert isinstance(verdict, Unfit)
    assert len(verdict.errors) == MAX_ERRORS
    assert verdict.errors[-1] == FieldError("", "and 19 more")
    assert all(len(error.field) <= MAX_FIELD_CHARS for error in verdict.errors)
    assert all(len(error.message) <= MAX_MESSAGE_CHARS for error in verdict.errors)


@pytest.mark.parametrize("name", ["notification_read", "preferences_changed"])
def test_what_only_desk_says_is_refused_from_producers(name):
    extra = {
        "notification_read": {"ids": [], "unreadCount": 0},
        "preferences_changed": {"preferences": {}},
    }
    verdict = judged({"type": name, "userId": "alice"} | extra[name])
    assert isinstance(verdict, Unfit)
    assert [error.field for error in verdict.errors] == ["type"]


@pytest.mark.parametrize("name", sorted(set(PRODUCED) - {"system_notification", "market_data"}))
def test_only_notices_are_for_everyone(name):
    verdict = judged(EXAMPLES[name] | {"userId": "all"})
    assert isinstance(verdict, Unfit)
    assert [error.field for error in verdict.errors] == ["userId"]


def test_a_notice_for_everyone_wants_its_scope():
    notice = EXAMPLES["system_notification"]
    assert isinstance(judged(notice), Fit)
    verdict = judged(notice, may_notify_everyone=False)
    assert isinstance(verdict, Unfit)
    assert verdict.forbidden
    assert isinstance(judged(notice | {"userId": "alice"}, may_notify_everyone=False), Fit)


def test_a_volatility_alert_without_a_user_would_reach_every_inbox_and_is_refused():
    alert = {k: v for k, v in EXAMPLES["volatility_alert"].items() if k != "userId"}
    verdict = judged(alert)
    assert isinstance(verdict, Unfit)
    assert [error.field for error in verdict.errors] == ["userId"]


def test_a_stop_order_goes_to_people_and_to_executors():
    stop = judged(EXAMPLES["emergency_stop"]).event
    assert destinations(stop) == (
        ("tw.events", "alice.s-17.command.emergency_stop"),
        ("tw.alerts", "alice.s-17.emergency_stop.emergency"),
    )


def test_anything_else_goes_to_one_place():
    assert destinations(judged(TRADE).event) == (("tw.events", "alice.s-17.trade.executed"),)
    lifted = judged(TRADE | {"ack": True}).event
    assert quality_of(lifted) == "critical"
    assert destinations(lifted) == (("tw.alerts", "alice.s-17.trade_executed.critical"),)
