"""Which tokens were taken back. Pure: what was said comes in, a refusal goes out."""

import heapq
from datetime import datetime, timedelta
from typing import Final

from tapewire.auth.claims import Claims
from tapewire.auth.errors import InvalidToken, RevokedToken
from tapewire.contracts import TokenRevocation

# A revocation is kept for so long past the end of the last token: a verifier whose clock is behind
# takes a token that long after its end (`LEEWAY_S`), and one that is behind by as much again.
KEPT_PAST_END: Final = timedelta(minutes=2)
LONGEST: Final = timedelta(days=366)
"""For how long a revocation can be kept; the broker's log keeps it for longer."""


class Revocations:
    """What was revoked and has not expired: a token by its id, all of a user's by their age.

    Of what was said of the same token or user, all holds: the newest `issued_before`, the latest
    `until`. Said twice, it changes nothing, so the log may be read again at any time.
    """

    def __init__(self) -> None:
        self._tokens: dict[str, TokenRevocation] = {}
        self._users: dict[str, tuple[TokenRevocation, ...]] = {}
        self._ends: list[tuple[datetime, int, TokenRevocation]] = []
        self._count = 0

    def __len__(self) -> int:
        """Return how many tokens and users have something against them."""
        return len(self._tokens) + len(self._users)

    def add(self, said: TokenRevocation, *, now: datetime) -> bool:
        """Take a revocation; return whether it changes anything. Forgets what has ended."""
        self.forget(now)
        if said.until + KEPT_PAST_END <= now:
            return False
        if said.token_id is not None:
            known = self._tokens.get(said.token_id)
            if known is not None and not _adds(said, known):
                return False
            self._tokens[said.token_id] = said if known is None else _joined(known, said)
        else:
            assert said.user_id is not None  # of the two, the model has one
            there = self._users.get(said.user_id, ())
            if any(_covers(one, said) for one in there):
                return False
            left = (one for one in there if not _covers(said, one))
            self._users[said.user_id] = (*left, said)
        self._count += 1
        heapq.heappush(self._ends, (said.until, self._count, said))
        return True

    def forget(self, now: datetime) -> None:
        """Let go of what concerns only tokens that have expired."""
        while self._ends and self._ends[0][0] + KEPT_PAST_END <= now:
            _, _, ended = heapq.heappop(self._ends)
            if ended.token_id is not None:
                if self._tokens.get(ended.token_id, ended).until <= ended.until:
                    self._tokens.pop(ended.token_id, None)
            elif ended.user_id is not None:
                left = tuple(o for o in self._users.get(ended.user_id, ()) if o.until > ended.until)
                if left:
                    self._users[ended.user_id] = left
                else:
                    self._users.pop(ended.user_id, None)

    def refusal(self, claims: Claims) -> RevokedToken | InvalidToken | None:
        """Return why a token that is good otherwise must not be taken; None: it may."""
        if claims.token_id is not None:
            said = self._tokens.get(claims.token_id)
            if said is not None:
                return _refusal(said.final)
        said_of_user = self._users.get(claims.subject)
        if said_of_user is None:
            return None
        against = [one for one in said_of_user if _concerns(one, claims)]
        return _refusal(any(one.final for one in against)) if against else None

    def listed(self, now: datetime) -> list[TokenRevocation]:
        """Return what is kept, the newest first."""
        self.forget(now)
        every = [*self._tokens.values(), *(one for many in self._users.values() for one in many)]
        return sorted(every, key=lambda one: one.revoked_at, reverse=True)


def _refusal(final: bool) -> RevokedToken | InvalidToken:
    return InvalidToken("revoked") if final else RevokedToken()


def _concerns(said: TokenRevocation, claims: Claims) -> bool:
    """Whether a user's revocation is about this token; of one without an age, it is."""
    assert said.issued_before is not None
    return claims.issued_at is None or claims.issued_at < said.issued_before.timestamp()


def _adds(said: TokenRevocation, known: TokenRevocation) -> bool:
    return said.until > known.until or (said.final and not known.final)


def _joined(known: TokenRevocation, said: TokenRevocation) -> TokenRevocation:
    until, final = max(known.until, said.until), known.final or said.final
    return said.model_copy(update={"until": until, "final": final})


def _covers(one: TokenRevocation, other: TokenRevocation) -> bool:
    """Whether `other` says nothing more than `one`, of the same user."""
    assert one.issued_before is not None
    assert other.issued_before is not None
    return (
        one.issued_before >= other.issued_before
        and one.until >= other.until
        and (one.final or not other.final)
    )
