"""A program that gets no WebSocket, and has no library of ours: a stream or polls, and posts."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

import httpx
from engines import Fleet
from plain import DEADLINE_S, Message


class Client:
    """One connection; what came is in `heard`."""

    def __init__(self, http: httpx.AsyncClient, how: Literal["sse", "poll"]) -> None:
        self._http = http
        self._news = asyncio.Event()
        self._received = 0
        self._read = self._stream if how == "sse" else self._poll
        self._posted_to = ""
        self.heard: list[Message] = []
        self.close_code: int | None = None

    @property
    def _connection(self) -> dict[str, str]:
        return {"connectionId": self.heard[0]["connectionId"]}

    async def read(self, query: dict[str, str]) -> None:
        """Take what comes, until the end."""
        try:
            await self._read(query)
        finally:
            self._news.set()

    async def _stream(self, query: dict[str, str]) -> None:
        async with self._http.stream("GET", "/v1/stream", params=query) as answer:
            answer.raise_for_status()
            event: dict[str, str] = {}
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name:
                    event[name] = value
                    continue
                await self._event(event)
                event = {}

    async def _event(self, event: dict[str, str]) -> None:
        match event.get("event"):
            case "ping":
                await self.send()
            case "close":
                self.close_code = json.loads(event["data"])["code"]
            case None if "data" in event:
                self._take(int(event["id"]), json.loads(event["data"]))

    async def _poll(self, query: dict[str, str]) -> None:
        while self.close_code is None:
            answer = await self._http.get("/v1/poll", params=query)
            batch = answer.raise_for_status().json()
            self._take(batch["cursor"], *batch["messages"])
            self.close_code = batch.get("close", {}).get("code")
            query = self._connection | {"cursor": str(self._received)}

    def _take(self, received: int, *messages: Message) -> None:
        self._received = received
        self.heard += messages
        self._news.set()

    def all(self, kind: str) -> list[Message]:
        """Return the messages of a type that came so far, in order."""
        return [message for message in self.heard if message["type"] == kind]

    async def until(self, kind: str, count: int = 1) -> list[Message]:
        """Wait for `count` messages of a type; return all of that type that came."""
        await self.when(lambda: len(self.all(kind)) >= count)
        return self.all(kind)

    async def when(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` of what was heard is true."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def until_closed(self) -> int | None:
        """Wait for the server to close; return its code."""
        await self.when(lambda: self.close_code is not None)
        return self.close_code

    async def send(self, **message: Any) -> None:
        """Post one client message, or none: the proof of receipt alone."""
        (await self._post(message)).raise_for_status()

    async def refused(self, **message: Any) -> tuple[int, int]:
        """Post a message in vain; return the status and the close code."""
        answer = await self._post(message)
        return answer.status_code, answer.json()["closeCode"]

    async def _post(self, message: Message) -> httpx.Response:
        return await self._http.post(
            f"{self._posted_to}/v1/messages",
            params=self._connection | {"received": str(self._received)},
            content=json.dumps(message) if message else "",
        )

    async def leave(self) -> None:
        """Say good-bye."""
        if self.heard:
            await self._http.delete("/v1/messages", params=self._connection)

    def post_to(self, url: str) -> None:
        """Post to another edge from here on."""
        self._posted_to = url

    async def ack(self, *messages: Message) -> None:
        """Acknowledge alerts."""
        await self.send(type="ack", ids=[message["id"] for message in messages])


@asynccontextmanager
async def fetching(
    fleet: Fleet,
    user: str,
    how: Literal["sse", "poll"],
    edge: str = "edge-1",
    *,
    url: str | None = None,
    **query: str,
) -> AsyncIterator[Client]:
    """Connect, at an edge or at `url`, and wait for the welcome: the first of `heard`."""
    async with httpx.AsyncClient(
        base_url=url or fleet.url(edge),
        headers={"Authorization": f"Bearer {fleet.token(user)}"},
        timeout=DEADLINE_S,
        trust_env=False,
    ) as http:
        client = Client(http, how)
        reading = asyncio.create_task(client.read(query))
        try:
            await client.until("welcome")
            yield client
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            with suppress(httpx.HTTPError):  # its edge may have been killed
                await client.leave()
