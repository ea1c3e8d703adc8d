"""The log of revocations, read by a process that starts, and by one whose connection came back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from tapewire.auth import Claims, RevocationsUnknown, RevokedToken, Revoking, revoking
from tapewire.broker import Link, Publisher, Role, declare, topology
from tapewire.contracts import TokenRevocation

NOW = datetime.now(UTC)
MANY = 3 * revoking.PREFETCH


def said(number: int) -> bytes:
    one = TokenRevocation(
        token_id=f"t-{number}",
        until=NOW + timedelta(days=1),
        revoked_at=NOW,
        revoked_by="ops",
    )
    return one.model_dump_json(by_alias=True, exclude_none=True).encode()


def claims(number: int) -> Claims:
    return Claims(
        subject="alice",
        scopes=frozenset(),
        supervises=frozenset(),
        expires_at=NOW + timedelta(days=1),
        token_id=f"t-{number}",
        issued_at=NOW.timestamp(),
    )


@pytest.fixture
async def links(broker_url: str) -> AsyncIterator[Callable[[Role], Link]]:
    made: list[Link] = []

    def link(role: Role) -> Link:
        made.append(Link(broker_url, role, name="test"))
        return made[-1]

    yield link
    for one in made:
        await one.close()


@pytest.fixture
async def revoke(links: Callable[[Role], Link]) -> Callable[..., object]:
    link = links(Role.PUBLISH)
    await link.start()
    await declare(link, (topology.REVOCATIONS,))
    publisher = Publisher(link, deadline_s=60)

    async def publish(*bodies: bytes) -> None:
        name = topology.REVOCATIONS.name
        async with asyncio.TaskGroup() as group:
            for number, body in enumerate(bodies):
                group.create_task(
                    publisher.publish(
                        "", name, body, type="token_revocation", message_id=str(number)
                    )
                )

    return publish


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_all_of_a_long_log_is_known_before_anybody_is_let_in(links, revoke):
    await revoke(*(said(number) for number in range(MANY)))
    link = links(Role.CONSUME)
    await link.start()
    reading = Revoking(link)
    await reading.start()
    try:
        await settled(lambda: reading.health() is None)
        assert len(reading.listed()) == MANY
        with pytest.raises(RevokedToken):
            await reading.check(claims(MANY - 1))
        await reading.check(claims(MANY))
    finally:
        await reading.stop()


async def test_what_nobody_understands_is_passed_over(links, revoke):
    await revoke(b"{", said(1))
    link = links(Role.CONSUME)
    await link.start()
    reading = Revoking(link)
    await reading.start()
    try:
        await settled(lambda: reading.refusal(claims(1)) is not None)
    finally:
        await reading.stop()


async def test_a_log_that_cannot_be_read_lets_nobody_in(monkeypatch, links):
    monkeypatch.setattr(revoking, "WAIT_S", 0.05)
    reading = Revoking(links(Role.CONSUME))  # never started: the broker is away
    await reading.start()
    try:
        assert reading.health() is not None
        with pytest.raises(RevocationsUnknown):
            await reading.check(claims(1))
    finally:
        await reading.stop()


async def test_what_was_known_holds_when_the_connection_is_lost_and_more_comes_with_it(
    links, revoke
):
    await revoke(said(1))
    link = links(Role.CONSUME)
    await link.start()
    reading = Revoking(link)
    news: list[int] = []
    reading.on_news.append(lambda: news.append(len(reading.listed())))
    await reading.start()
    try:
        await settled(lambda: reading.health() is None)
        await link.close()
        assert reading.health() is None
        with pytest.raises(RevokedToken):
            await reading.check(claims(1))
        await revoke(said(2))
        await link.start()
        await settled(lambda: reading.refusal(claims(2)) is not None)
        assert news == [1, 2]  # read again, the first is no news
    finally:
        await reading.stop()
