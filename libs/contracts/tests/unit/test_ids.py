"""Escaping is reversible, unambiguous, and safe in routing keys and queue names."""

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.contracts import NotReversible, escape, new_id, unescape
from tapewire.contracts.ids import MAX_WORD_BYTES, RESERVED

short = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
any_length = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64)


@given(any_length)
def test_a_word_is_safe_in_keys_and_queue_names(identifier: str) -> None:
    word = escape(identifier)
    assert re.fullmatch(r"[A-Za-z0-9_@:/-]+", word)
    assert len(word) <= MAX_WORD_BYTES
    assert word not in RESERVED


@given(short)
def test_unescape_returns_the_id(identifier: str) -> None:
    assert unescape(escape(identifier)) == identifier


@given(any_length, any_length)
def test_different_ids_have_different_words(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) == (one == other)


@pytest.mark.parametrize("reserved", sorted(RESERVED))
def test_a_reserved_word_is_escaped(reserved: str) -> None:
    assert unescape(escape(reserved)) == reserved


def test_an_over_long_id_becomes_a_digest_that_says_so() -> None:
    word = escape("π" * 64)
    assert word.startswith("/")
    with pytest.raises(NotReversible):
        unescape(word)


def test_an_empty_id_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        escape("")


def test_new_ids_are_version_7_and_sort_by_time() -> None:
    early, late = new_id(now_ms=1_000, random=b"\xff" * 10), new_id(now_ms=1_001, random=bytes(10))
    assert UUID(early).version == UUID(late).version == 7
    assert early < late
