import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.ingest.batch import MAX_EVENTS, TooManyEvents, UnreadableBody, read

EVENT = {"type": "trade_executed", "id": "t-1"}
ONE = json.dumps(EVENT).encode()


def test_an_object_is_one_event_kept_as_text():
    batch = read(ONE, "application/json")
    assert (batch.items, batch.single) == ((ONE,), True)


def test_an_array_is_a_batch_even_of_one():
    batch = read(b"[" + ONE + b"]", "application/json")
    assert (batch.items, batch.single) == ((EVENT,), False)


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/jsonl; charset=utf-8"])
def test_ndjson_is_known_by_its_type(kind):
    batch = read(ONE, kind)
    assert (batch.items, batch.single) == ((ONE,), False)


@pytest.mark.parametrize("kind", ["", "application/json", "application/x-www-form-urlencoded"])
def test_the_body_tells_what_the_type_does_not(kind):
    assert read(ONE + b"\n" + ONE, kind).items == (ONE, ONE)
    assert read(ONE, kind).single


def test_blank_lines_and_carriage_returns_are_no_events():
    assert read(b"\n" + ONE + b"\r\n\r\n" + ONE + b"\n", "application/x-ndjson").items == (ONE, ONE)


def test_a_line_that_is_no_json_is_that_lines_affair():
    assert read(ONE + b"\n{oops\n" + ONE).items == (ONE, b"{oops", ONE)


def test_what_is_in_an_array_is_judged_item_by_item():
    assert read(b'[1, null, "x"]').items == (1, None, "x")


@pytest.mark.parametrize("body", [b"", b" \n", b"[", b"[" + ONE + b",", b"{", b"oops", b"\xff"])
def test_an_unreadable_body_is_refused_whole(body):
    with pytest.raises(UnreadableBody) as caught:
        read(body, "application/json")
    assert caught.value.status == 422


def test_deep_nesting_is_an_error_and_not_a_crash():
    with pytest.raises(UnreadableBody):
        read(b"[" * 100_000, "application/json")


@pytest.mark.parametrize(
    "joined", [b"[" + b",".join([ONE] * 1001) + b"]", b"\n".join([ONE] * 1001)]
)
def test_more_than_a_thousand_are_too_many(joined):
    with pytest.raises(TooManyEvents) as caught:
        read(joined)
    assert caught.value.status == 413


def test_a_thousand_are_not():
    assert len(read(b"\n".join([ONE] * MAX_EVENTS)).items) == MAX_EVENTS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=3), min_size=2, max_size=5))
def test_array_and_ndjson_hold_the_same_events(events):
    array = read(json.dumps(events).encode())
    lines = read("\n".join(map(json.dumps, events)).encode())
    assert [json.loads(item) for item in lines.items] == list(array.items) == events
