"""What stands in for a WebSocket where none passes: a stream or polls, and posts.

docs/protocol.md, *Without WebSocket*.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Literal, Self
from urllib.parse import urljoin

import httpx
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.frames import Close

from tapewire.client.locations import is_loopback

QUEUED: Final = 64  # messages; a handler that is slower than this holds the reader up
TRIES: Final = 4  # of a post or a poll: a proxy may cut one, and the next
AGAIN_S: Final = 0.5
PROVE_S: Final = 0.1  # receipts of so long are told in one post
POST_TIMEOUT_S: Final = 10.0
POLL_TIMEOUT_S: Final = 60.0  # the server answers within 25


class HttpSocket:
    """A connection over HTTP, with the face of a WebSocket.

    Attributes:
        heard_at: when the server was last heard, by the loop's clock.
    """

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.heard_at = 0.0
        self._url = url
        self._http = http
        self._connection: dict[str, str] = {}
        self._received = 0  # the number of the newest message
        self._incoming: asyncio.Queue[str | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._posting = asyncio.Lock()  # two posts at once have no order
        self._ending: ConnectionClosed | None = None
        self._reader: asyncio.Task[None] | None = None
        self._proof: asyncio.Task[None] | None = None

    @classmethod
    def open(
        cls,
        url: str,
        how: Literal["sse", "long-poll"],
        *,
        token: str,
        query: Mapping[str, str],
        agent: str,
        options: Mapping[str, Any],
    ) -> Self:
        """Begin to connect; what comes of it is what ``recv`` returns or raises.

        Args:
            url: of the WebSocket that this stands in for.
            how: by stream or by polls.
            token: a JWT.
            query: the protocol's opening fields.
            agent: who asks.
            options: those of ``websockets.connect``; of them ``ssl`` and ``proxy`` are heeded.
        """
        proxy = options.get("proxy", None if is_loopback(url) else True)
        http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {token}", "User-Agent": agent},
            timeout=httpx.Timeout(POST_TIMEOUT_S),
            proxy=proxy if isinstance(proxy, str) else None,
            trust_env=proxy is True,  # as `websockets` reads it: that of the environment
            verify=options.get("ssl") or True,
        )
        socket = cls("http" + url.removeprefix("ws"), http)
        read = socket._stream if how == "sse" else socket._poll
        socket._reader = asyncio.create_task(socket._run(read, dict(query)))
        return socket

    async def recv(self) -> str:
        """Return the next message.

        Raises:
            websockets.ConnectionClosed: it is over.
        """
        text = await self._incoming.get()
        if self._incoming.qsize() < QUEUED:
            self._room.set()
        if text is None:
            self._incoming.put_nowait(None)
            raise self._ending or _lost("closed")
        return text

    async def send(self, text: str) -> None:
        """Post one message, or none: the proof of receipt alone.

        A message may be posted twice: every message of a client may come twice.

        Raises:
            websockets.ConnectionClosed: it is over.
        """
        async with self._posting:
            for _ in range(TRIES):
                if self._ending is not None:
                    raise self._ending
                params = self._connection | {"received": str(self._received)}
                with suppress(httpx.HTTPError):
                    answer = await self._http.post(
                        self._at("messages"), params=params, content=text
                    )
                    if answer.is_success:
                        return self._renew(text)
                    if answer.status_code < 500:
                        raise self._end(_refused(answer))
                await asyncio.sleep(AGAIN_S)
            raise self._end(_lost("what was said did not arrive"))

    async def close(self, code: int = 1000) -> None:
        """Leave; the place is free at once."""
        if self._connection and self._ending is None:
            with suppress(httpx.HTTPError):
                await self._http.delete(self._at("messages"), params=self._connection)
        self.abort()
        await asyncio.gather(*filter(None, [self._reader]), return_exceptions=True)

    def abort(self) -> None:
        """End it without a word."""
        self._end(_lost("cut"))
        for task in (self._reader, self._proof):
            if task is not None:
                task.cancel()

    def _at(self, path: str) -> str:
        return urljoin(self._url, f"v1/{path}")

    def _end(self, ending: ConnectionClosed) -> ConnectionClosed:
        if self._ending is None:
            self._ending = ending
            self._incoming.put_nowait(None)
        return self._ending

    async def _run(
        self, read: Callable[[dict[str, str]], Awaitable[None]], query: dict[str, str]
    ) -> None:
        try:
            await read(query)
        except ConnectionClosed as ending:
            self._end(ending)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            self._end(_lost(f"{type(error).__name__}: {error}"))
        finally:
            await self._http.aclose()

    async def _stream(self, query: dict[str, str]) -> None:
        timeout = httpx.Timeout(POST_TIMEOUT_S, read=None)  # silence is watched by `Wire`
        url = self._at("stream")
        async with self._http.stream("GET", url, params=query, timeout=timeout) as answer:
            if not answer.is_success:
                await answer.aread()
                raise _refused(answer)
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise _lost("what answers is no event stream")
            fields: dict[str, str] = {}
            async for line in answer.aiter_lines():
                self.heard_at = asyncio.get_running_loop().time()
                name, _, value = line.partition(": ")
                if name:
                    fields[name] = value
                    continue
                await self._event(fields)
                fields = {}
        raise _lost("the stream ended")

    async def _event(self, fields: Mapping[str, str]) -> None:
        match fields.get("event"):
            case "ping":
                self._prove()
            case "close":
                told = json.loads(fields["data"])
                raise _closed(told["code"], told["reason"])
            case None if "data" in fields:
                self._received = int(fields["id"])
                await self._take(fields["data"])
            case _:
                pass

    async def _poll(self, query: dict[str, str]) -> None:
        failures = 0
        while True:
            batch = await self._batch(query)
            if batch is None:
                failures += 1
                if not self._connection or failures == TRIES:
                    raise _lost("polls are not answered")
                await asyncio.sleep(AGAIN_S)
                continue
            failures = 0
            self._received = batch["cursor"]
            for message in batch["messages"]:
                await self._take(json.dumps(message))
            if close := batch.get("close"):
                raise _closed(close["code"], close["reason"])
            query = self._connection | {"cursor": str(self._received)}

    async def _batch(self, query: dict[str, str]) -> dict[str, Any] | None:
        """Return the next batch, or None: what is in between cut the answer off."""
        timeout = httpx.Timeout(POST_TIMEOUT_S, read=POLL_TIMEOUT_S)
        try:
            answer = await self._http.get(self._at("poll"), params=query, timeout=timeout)
        except httpx.HTTPError:
            return None
        if answer.status_code >= 500 and self._connection:
            return None
        if not answer.is_success:
            raise _refused(answer)
        self.heard_at = asyncio.get_running_loop().time()
        return answer.json()

    async def _take(self, text: str) -> None:
        if not self._connection:  # `welcome` is the first
            self._connection = {"connectionId": json.loads(text)["connectionId"]}
        self._incoming.put_nowait(text)
        if self._incoming.qsize() >= QUEUED:
            self._room.clear()
            await self._room.wait()

    def _prove(self) -> None:
        async def tell() -> None:
            await asyncio.sleep(PROVE_S)
            with suppress(ConnectionClosed):
                await self.send("")

        if self._proof is None or self._proof.done():
            self._proof = asyncio.create_task(tell())

    def _renew(self, text: str) -> None:
        """Use a token that the server was given from now on."""
        if '"refresh"' in text and (frame := json.loads(text)).get("type") == "refresh":
            self._http.headers["Authorization"] = f"Bearer {frame['token']}"


def _closed(code: int, reason: str) -> ConnectionClosed:
    return ConnectionClosedError(Close(code, reason), None)


def _lost(reason: str) -> ConnectionClosed:
    return ConnectionClosedError(None, Close(1006, reason))


def _refused(answer: httpx.Response) -> ConnectionClosed:
    """Return the edge's word, or that of somebody in between."""
    try:
        told = answer.json()
        return _closed(int(told["closeCode"]), str(told.get("message", "")))
    except (ValueError, KeyError, TypeError):
        return _lost(f"HTTP status {answer.status_code}")
