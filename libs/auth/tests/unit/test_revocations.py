"""Which tokens a revocation concerns, until when, and what is left of many."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tapewire.auth import Claims, InvalidToken, RevokedToken
from tapewire.auth.revocations import KEPT_PAST_END, Revocations
from tapewire.contracts import TokenRevocation

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def claims(
    user: str = "alice", token_id: str | None = "t-1", issued_at: datetime | None = NOW - HOUR
) -> Claims:
    return Claims(
        subject=user,
        scopes=frozenset(),
        supervises=frozenset(),
        expires_at=NOW + HOUR,
        token_id=token_id,
        issued_at=None if issued_at is None else issued_at.timestamp(),
    )


def of_token(token_id: str = "t-1", *, until: datetime = NOW + HOUR, final: bool = False):
    return TokenRevocation(
        token_id=token_id, until=until, final=final, revoked_at=NOW, revoked_by="ops"
    )


def of_user(
    user: str = "alice",
    before: datetime = NOW,
    *,
    until: datetime = NOW + HOUR,
    final: bool = False,
):
    return TokenRevocation(
        user_id=user,
        issued_before=before,
        until=until,
        final=final,
        revoked_at=NOW,
        revoked_by="ops",
    )


def knowing(*said: TokenRevocation, now: datetime = NOW) -> Revocations:
    known = Revocations()
    for one in said:
        known.add(one, now=now)
    return known


def test_token_is_refused_by_its_id_and_no_other_is():
    known = knowing(of_token("t-1"))
    assert isinstance(known.refusal(claims(token_id="t-1")), RevokedToken)
    assert known.refusal(claims(token_id="t-2")) is None
    assert known.refusal(claims(token_id=None)) is None


def test_users_tokens_are_refused_by_their_age():
    known = knowing(of_user("alice", NOW))
    assert known.refusal(claims(issued_at=NOW - timedelta(seconds=1))) is not None
    assert known.refusal(claims(issued_at=NOW)) is None
    assert known.refusal(claims("bob")) is None


def test_token_that_does_not_tell_its_age_is_refused_with_the_others():
    assert knowing(of_user()).refusal(claims(issued_at=None)) is not None


def test_age_is_told_in_whole_seconds_so_a_token_of_the_same_second_is_refused():
    moment = NOW + timedelta(milliseconds=700)
    issued = NOW  # `iat` of a token made 0.9 s later, or 0.2 s: nobody can tell
    assert knowing(of_user(before=moment)).refusal(claims(issued_at=issued)) is not None


def test_final_ones_say_never_to_come_back():
    assert isinstance(knowing(of_token(final=True)).refusal(claims()), InvalidToken)
    assert isinstance(knowing(of_user(final=True)).refusal(claims()), InvalidToken)


def test_a_user_who_was_barred_may_come_with_tokens_issued_later():
    known = knowing(of_user(before=NOW - HOUR, final=True), of_user(before=NOW))
    assert isinstance(known.refusal(claims(issued_at=NOW - 2 * HOUR)), InvalidToken)
    assert isinstance(known.refusal(claims(issued_at=NOW - HOUR / 2)), RevokedToken)
    assert known.refusal(claims(issued_at=NOW)) is None


def test_said_again_it_is_no_news():
    known = knowing(of_token(), of_user())
    assert not known.add(of_token(), now=NOW)
    assert not known.add(of_user(before=NOW - HOUR), now=NOW)
    assert known.add(of_user(before=NOW + HOUR), now=NOW)
    assert known.add(of_token(final=True), now=NOW)
    assert len(known) == 2


def test_forgotten_once_the_last_token_has_expired_and_not_before():
    known = knowing(of_token(), of_user())
    known.forget(NOW + HOUR + KEPT_PAST_END - timedelta(seconds=1))
    assert len(known) == 2
    known.forget(NOW + HOUR + KEPT_PAST_END)
    assert len(known) == 0
    assert known.refusal(claims()) is None


def test_what_ended_before_it_was_read_is_not_kept():
    known = Revocations()
    assert not known.add(of_user(), now=NOW + 2 * HOUR)
    assert len(known) == 0


def test_two_with_different_ends_last_as_long_as_the_later():
    known = knowing(of_token(until=NOW + 5 * HOUR), of_token(until=NOW + HOUR, final=True))
    known.forget(NOW + 3 * HOUR)
    assert isinstance(known.refusal(claims()), InvalidToken)
    known.forget(NOW + 6 * HOUR)
    assert known.refusal(claims()) is None


def test_a_shorter_one_with_a_later_bound_does_not_take_the_longer_with_it():
    known = knowing(of_user(before=NOW - HOUR, until=NOW + 5 * HOUR), of_user(before=NOW))
    known.forget(NOW + 3 * HOUR)
    assert known.refusal(claims(issued_at=NOW - 2 * HOUR)) is not None
    assert known.refusal(claims(issued_at=NOW - HOUR / 2)) is None


hours = st.integers(-3, 6).map(lambda n: NOW + n * HOUR)
some = st.one_of(
    st.builds(of_token, st.sampled_from(["t-1", "t-2"]), until=hours, final=st.booleans()),
    st.builds(of_user, st.sampled_from(["alice", "bob"]), hours, until=hours, final=st.booleans()),
)


@given(st.lists(some, max_size=8), hours, hours)
def test_what_is_refused_is_what_any_of_them_says_in_any_order_and_as_often_as_it_is_said(
    said: list[TokenRevocation], now: datetime, issued: datetime
):
    mine = claims(issued_at=issued)
    expected = any(
        one.until + KEPT_PAST_END > now
        and (
            one.token_id == mine.token_id
            or (
                one.user_id == mine.subject
                and one.issued_before is not None
                and issued < one.issued_before
            )
        )
        for one in said
    )
    for order in (said, said[::-1], said + said):
        known = knowing(*order, now=now - HOUR)
        known.forget(now)
        assert (known.refusal(mine) is not None) == expected
        assert set(known.listed(now)) or not expected


@pytest.mark.parametrize(
    "fields",
    [{}, {"token_id": "t", "user_id": "u", "issued_before": NOW}, {"user_id": "u"}],
    ids=["nothing", "both", "no age"],
)
def test_a_revocation_names_one_thing(fields: dict[str, object]):
    with pytest.raises(ValidationError):
        TokenRevocation(until=NOW, revoked_at=NOW, revoked_by="ops", **fields)  # type: ignore[arg-type]


def test_one_of_a_later_version_is_understood():
    text = of_token().model_dump_json(by_alias=True)[:-1] + ',"why":"lost"}'
    assert TokenRevocation.model_validate_json(text) == of_token()
