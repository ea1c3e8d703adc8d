"""Frames made without pamqp are those that pamqp makes."""

import pytest
from aiormq import spec
from hypothesis import given
from hypothesis import strategies as st
from pamqp import frame as amqp
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from tapewire.broker import Stencil, transient
from tapewire.broker.framing import content, method

NAMES = st.text(max_size=60)
WORDS = st.from_regex(r"[A-Za-z0-9_.:-]{0,60}", fullmatch=True)  # what pamqp takes for a name
HEADERS = st.dictionaries(NAMES, st.text(max_size=80) | st.booleans(), min_size=1, max_size=8)


@given(WORDS, WORDS, NAMES, st.integers(1, 65535))
def test_filled_stencil_is_the_question_with_those_names(queue, exchange, key, number):
    stencil = Stencil(
        spec.Queue.Bind(queue="a", exchange="b", routing_key="c", arguments={"x": "d"}),
        *("a", "b", "c"),
    )
    asked = spec.Queue.Bind(queue=queue, exchange=exchange, routing_key=key, arguments={"x": "d"})
    assert method(number, stencil.fill(queue, exchange, key)) == amqp.marshal(asked, number)


@pytest.mark.parametrize("names", [("b", "a"), ("a", "a"), ("z",)])
def test_names_that_do_not_stand_there_once_make_no_stencil(names):
    with pytest.raises(ValueError, match="once"):
        Stencil(spec.Queue.Bind(queue="a", exchange="b", routing_key="a"), *names)


def test_name_that_is_too_long_or_missing_is_refused():
    stencil = Stencil(spec.Queue.Declare(queue="a", passive=True), "a")
    with pytest.raises(ValueError, match="255"):
        stencil.fill("ä" * 128)
    with pytest.raises(ValueError, match="zip"):
        stencil.fill()


@given(st.binary(max_size=400), st.integers(1, 65535), st.integers(1, 100))
def test_content_is_header_and_body_in_parts(body, number, size):
    properties = spec.Basic.Properties(message_id="m", headers={"a": "b"}, delivery_mode=2)
    header = ContentHeader(body_size=len(body), properties=properties)
    parts = [ContentBody(body[at : at + size]) for at in range(0, len(body), size)]
    expected = b"".join(amqp.marshal(one, number) for one in (header, *parts))
    assert content(number, properties.marshal(), body, size) == expected


@given(NAMES, HEADERS)
def test_transient_properties_are_read_as_they_were_meant(kind, headers):
    found = spec.Basic.Properties()
    data = transient(kind, headers)
    found.unmarshal(int.from_bytes(data[:2], "big"), data[2:])
    assert (found.message_type, found.headers, found.delivery_mode) == (kind, headers, 1)
