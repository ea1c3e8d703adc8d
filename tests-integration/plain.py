"""Programs without any library of ours: what docs/protocol.md says, said by hand.

`connected` is a WebSocket client, `publish` a producer over HTTP; `alert`, `warning` and
`decision` are events as a producer writes them.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlencode

import httpx
import websockets
from engines import Fleet
from websockets.asyncio.client import ClientConnection

DEADLINE_S = 60.0  # a killed service comes back in 2 s; on cores that others use, in 20
SUBPROTOCOL = websockets.Subprotocol("tapewire.v1")

Message = dict[str, Any]


class Client:
    """One connection; reads on its own, so that pings are answered and nothing waits unread."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())
        self.heard: list[Message] = []

    async def _read(self) -> None:
        with suppress(websockets.ConnectionClosed):
            async for text in self._socket:
                self.heard.append(json.loads(text))
                self._news.set()
        self._news.set()

    @property
    def close_code(self) -> int | None:
        """The code with which the server closed the connection, or None while it is open."""
        return self._socket.close_code

    def all(self, kind: str) -> list[Message]:
        """Return the messages of a type that came so far, in order."""
        return [message for message in self.heard if message["type"] == kind]

    async def until(self, kind: str, count: int = 1) -> list[Message]:
        """Wait for `count` messages of a type; return all of that type that came."""
        return await self.when(lambda: len(self.all(kind)) >= count and self.all(kind))

    async def when(self, condition: Callable[[], Any], *, deadline_s: float = DEADLINE_S) -> Any:
        """Wait until `condition` of what was heard is true; return its value.

        Raises:
            AssertionError: the deadline passed or the connection ended before.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                while True:
                    self._news.clear()
                    if value := condition():
                        return value
                    if self._reading.done():
                        break
                    await self._news.wait()
        raise AssertionError(f"closed with {self.close_code}; heard {self.heard}")

    async def until_closed(self) -> int | None:
        """Wait for the server to close; return its code."""
        async with asyncio.timeout(DEADLINE_S):
            await self._socket.wait_closed()
        return self.close_code

    async def send(self, **message: Any) -> None:
        """Send one client message."""
        await self._socket.send(json.dumps(message))

    async def say(self, text: str | bytes) -> None:
        """Send any frame, also one that is no message."""
        await self._socket.send(text)

    async def ack(self, *messages: Message) -> None:
        """Acknowledge alerts."""
        await self.send(type="ack", ids=[message["id"] for message in messages])

    async def subscribe(self, *channels: str) -> Message:
        """Subscribe; return the reply."""
        before = len(self.all("subscribed"))
        await self.send(type="subscribe", channels=channels)
        return (await self.until("subscribed", before + 1))[-1]

    async def fence(self) -> None:
        """Return when everything that the server had said by now has come."""
        before = len(self.all("heartbeat"))
        await self.send(type="heartbeat")
        await self.until("heartbeat", before + 1)

    async def cut(self) -> None:
        """End the connection without a goodbye, as a lost network does."""
        self._socket.transport.abort()
        await self._reading

    async def close(self) -> None:
        """Leave."""
        await self._socket.close()
        await self._reading


@asynccontextmanager
async def connected(
    fleet: Fleet,
    user: str,
    edge: str = "edge-1",
    *,
    token: str | None = None,
    url: str | None = None,
    **query: str,
) -> AsyncIterator[Client]:
    """Connect and wait for the welcome, which is the first of `heard`."""
    address = (url or fleet.socket_url(edge)) + ("?" + urlencode(query) if query else "")
    bearer = {"Authorization": f"Bearer {token or fleet.token(user)}"}
    async with websockets.connect(
        address, additional_headers=bearer, subprotocols=[SUBPROTOCOL], proxy=None
    ) as socket:
        client = Client(socket)
        try:
            await client.until("welcome")
            yield client
        finally:
            await client.close()


def alert(user: str, number: int, level: str = "critical", **fields: Any) -> Message:
    """Return a risk alert; its id tells its number."""
    return {
        "type": "risk_alert",
        "id": f"{user}-{level}-{number}",
        "userId": user,
        "sessionId": f"s-{user}",
        "alertLevel": level,
        "alertType": "loss_limit",
        "message": f"number {number}",
        "currentValue": 92.1,
        "threshold": 90.0,
    } | fields


def decision(user: str, number: int, **fields: Any) -> Message:
    """Return an algorithm's decision; its id tells its number."""
    return {
        "type": "algorithm_decision",
        "id": f"{user}-decision-{number}",
        "userId": user,
        "sessionId": f"s-{user}",
        "algorithmId": "momentum-1",
        "decision": "buy",
        "reasoning": "momentum turned positive",
        "confidence": 0.8,
        "marketData": {"symbol": "SPY", "price": 512.31, "volume": 1200},
    } | fields


async def publish(fleet: Fleet, *events: Message) -> None:
    """Publish over HTTP; returns when the broker has every one."""
    results = await post(fleet, json.dumps(events))
    assert [result["status"] for result in results] == ["accepted"] * len(events), results


async def post(fleet: Fleet, body: str) -> list[Message]:
    """Post a batch of events; return the result of each."""
    token = fleet.token("producer", scopes=["events:write", "notices:write"])
    async with httpx.AsyncClient(timeout=DEADLINE_S, trust_env=False) as client:
        answer = await client.post(
            f"{fleet.url('ingest')}/v1/events",
            content=body,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
    return answer.json()["results"]


def ids(messages: list[Message]) -> list[str]:
    """Return the messages' ids."""
    return [message["id"] for message in messages]
