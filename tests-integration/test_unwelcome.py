"""What must not come in gets its code, and nobody else notices."""

import base64
import json
import time
from contextlib import asynccontextmanager

import jwt
import pytest
import websockets
from cryptography.hazmat.primitives.asymmetric import rsa
from plain import SUBPROTOCOL, Client, connected, decision, publish


def claims(user, **changed):
    now = int(time.time())
    made = {"sub": user, "iss": "tapewire", "aud": "tapewire", "iat": now, "exp": now + 600}
    return made | {"scope": "md:read session:read alerts:ack"} | changed


def unsigned(user):
    parts = ({"alg": "none", "typ": "JWT"}, claims(user))
    return (
        ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
            for part in parts
        )
        + "."
    )


def signed_with_a_key_pair(user):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims(user), key, algorithm="RS256")


TOKENS = {
    "expired": (4004, lambda fleet, user: fleet.token(user, ttl_s=-3600)),
    "wrong audience": (4500, lambda fleet, user: fleet.token(user, audience="elsewhere")),
    "wrong issuer": (4500, lambda fleet, user: fleet.token(user, issuer="elsewhere")),
    "another secret": (4500, lambda fleet, user: jwt.encode(claims(user), "x" * 48)),
    "alg none": (4500, lambda fleet, user: unsigned(user)),
    "another kind of key": (4500, lambda fleet, user: signed_with_a_key_pair(user)),
    "no subject": (4500, lambda fleet, user: jwt.encode(claims(None), fleet.jwt_secret)),
    "not a token": (4500, lambda fleet, user: "alice"),
}


@asynccontextmanager
async def knocking(fleet, token=None, **options):
    """A connection that need not be welcomed."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with websockets.connect(
        fleet.socket_url(),
        additional_headers=headers,
        subprotocols=[SUBPROTOCOL],
        proxy=None,
        **options,
    ) as socket:
        client = Client(socket)
        yield client
        await client.close()


@pytest.fixture
async def bystander(fleet, user):
    """Another user of the same edge, who must notice nothing."""
    other = f"{user}-bystander"
    async with connected(fleet, other) as client:
        await client.subscribe(f"sessions:{other}")
        yield client
        await publish(fleet, decision(other, 1))
        await client.until("algorithm_decision")
        kinds = {message["type"] for message in client.heard}
        assert kinds <= {"welcome", "subscribed", "algorithm_decision", "heartbeat"}


@pytest.mark.parametrize("reason", TOKENS)
async def test_a_bad_token_is_refused_with_its_code(fleet, user, bystander, reason):
    code, make = TOKENS[reason]
    async with knocking(fleet, make(fleet, user)) as client:
        assert await client.until_closed() == code
        assert client.all("welcome") == []


async def test_a_bad_token_in_the_first_message_is_refused_likewise(fleet, user, bystander):
    async with knocking(fleet) as client:
        await client.send(type="authenticate", token=unsigned(user))
        assert await client.until_closed() == 4500


async def test_a_message_before_authentication_is_refused(fleet, bystander):
    async with knocking(fleet) as client:
        await client.send(type="subscribe", channels=["market:SPY"])
        assert (await client.until_closed()) in (4500, 4501, 4502)
        assert client.all("subscribed") == []


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{not json", None),
        ("[]", None),
        ('{"type":"subscribe"}', "channels"),
        ('{"type":"ack","ids":"all"}', "ids"),
        ('{"type":"' + "x" * 100 + '"}', None),
        (b"\x00\x01binary", None),
    ],
)
async def test_a_malformed_frame_is_answered_and_the_connection_goes_on(
    fleet, user, bystander, text, field
):
    async with connected(fleet, user) as alice:
        await alice.say(text)
        (error,) = await alice.until("error")
        assert error["code"] == "bad_message"
        assert error.get("field") == field or field is None
        await alice.fence()


async def test_malformed_frames_again_and_again_end_the_connection(fleet, user, bystander):
    async with connected(fleet, user) as alice:
        for _ in range(6):
            await alice.say("{")
        assert await alice.until_closed() == 4501


async def test_an_oversized_frame_ends_the_connection(fleet, user, bystander):
    async with connected(fleet, user) as alice:
        await alice.say(json.dumps({"type": "heartbeat", "padding": "x" * 70_000}))
        assert await alice.until_closed() == 1009


async def test_a_flood_is_limited(fleet, user, bystander):
    async with connected(fleet, user) as alice:
        for _ in range(100):
            await alice.send(type="unsubscribe", channels=["market:SPY"])
        errors = await alice.until("error")
        assert errors[0]["code"] == "rate_limited"
        assert errors[0]["retryable"] is True


async def test_another_users_channels_cannot_be_named(fleet, user, bystander):
    async with connected(fleet, user) as alice:
        wanted = [f"sessions:{user}", "sessions:mallory", "user:mallory", "sessions:*", "nonsense"]
        answer = await alice.subscribe(*wanted)
        assert answer["channels"] == [f"sessions:{user}"]
        codes = {each["channel"]: each["code"] for each in answer["rejected"]}
        assert codes == {
            "sessions:mallory": "forbidden",
            "user:mallory": "forbidden",
            "sessions:*": "forbidden",
            "nonsense": "unknown_channel",
        }


async def test_a_session_of_another_user_tells_nothing(fleet, user, bystander):
    async with connected(fleet, user) as alice:
        await alice.subscribe("session:s-mallory", f"sessions:{user}")
        await publish(
            fleet,
            decision("mallory", user, sessionId="s-mallory"),
            decision(user, 1),
        )
        heard = await alice.until("algorithm_decision")
        assert [message["userId"] for message in heard] == [user]


async def test_a_supervisor_sees_the_users_of_the_claim(fleet, user, bystander):
    token = fleet.token(f"{user}-boss", supervises=[user])
    async with connected(fleet, f"{user}-boss", token=token) as boss:
        assert (await boss.subscribe(f"sessions:{user}"))["channels"] == [f"sessions:{user}"]
        await publish(fleet, decision(user, 1))
        (heard,) = await boss.until("algorithm_decision")
        assert heard["userId"] == user


async def test_without_the_scope_an_alert_cannot_be_acked(fleet, user, bystander):
    token = fleet.token(user, scopes=["session:read"])
    async with connected(fleet, user, token=token) as viewer:
        await viewer.send(type="ack", ids=["anything"])
        (error,) = await viewer.until("error")
        assert error["code"] == "forbidden"


async def test_a_page_of_another_origin_is_refused(fleet, user, bystander):
    async with knocking(fleet, fleet.token(user), origin="https://evil.example") as client:
        assert await client.until_closed() == 4505
