"""An office's HTTP proxy, as a browser is told to use one: what may pass is up to the office.

Browsers ask such a proxy for plain requests by absolute URL, and for a WebSocket with CONNECT (RFC
9110, 9.3.6). It speaks as much HTTP/1.1 as that takes: one request per connection.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

CHUNK = 65_536
HOP_BY_HOP = (b"connection:", b"proxy-connection:", b"keep-alive:")

Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class OfficeProxy:
    """Passes requests on; the flags may be changed at any time, for what comes after."""

    def __init__(self, *, websockets: bool, streams: bool, longest_s: float = 3.0) -> None:
        """Say what may pass.

        Args:
            websockets: lets a browser CONNECT.
            streams: passes an answer on while it comes, however long it takes. Otherwise the whole
                of it is waited for, as virus scanners do.
            longest_s: what takes longer to answer than this is cut off; not with `streams`.
        """
        self.websockets = websockets
        self.streams = streams
        self.longest_s = longest_s
        self.refused = 0
        self.cut = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of a browser."""
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            if method == "CONNECT":
                await self._connect(target, (reader, writer))
            else:
                await self._request(method, target, head, (reader, writer))
        writer.close()

    async def _connect(self, target: str, browser: Pipe) -> None:
        if not self.websockets:
            self.refused += 1
            browser[1].write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return await browser[1].drain()
        host, _, port = target.rpartition(":")
        async with _opened(host, int(port)) as server:
            browser[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _both(_copy(browser[0], server[1]), _copy(server[0], browser[1]))
        return None

    async def _request(self, method: str, target: str, head: bytes, browser: Pipe) -> None:
        url = urlsplit(target)
        path = url.path + (f"?{url.query}" if url.query else "")
        fields = [
            line
            for line in head.split(b"\r\n")[1:]
            if line and not line.lower().startswith(HOP_BY_HOP)
        ]
        length = next((int(f[15:]) for f in fields if f.lower().startswith(b"content-length:")), 0)
        async with _opened(url.hostname or "", url.port or 80) as server:
            first = f"{method} {path} HTTP/1.1".encode()
            server[1].write(b"\r\n".join([first, *fields, b"Connection: close", b"", b""]))
            server[1].write(await browser[0].readexactly(length))
            answer = self._pass if self.streams else self._pass_whole
            # A browser that goes away takes its request with it.
            await _both(answer(server[0], browser[1]), _copy(browser[0], None))

    async def _pass(self, server: asyncio.StreamReader, browser: asyncio.StreamWriter) -> None:
        await _copy(server, browser)

    async def _pass_whole(
        self, server: asyncio.StreamReader, browser: asyncio.StreamWriter
    ) -> None:
        try:
            async with asyncio.timeout(self.longest_s):
                whole = await server.read()
        except TimeoutError:
            self.cut += 1
            whole = b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n"
        browser.write(whole)
        await browser.drain()


@asynccontextmanager
async def office_proxy(*, websockets: bool, streams: bool) -> AsyncIterator[OfficeProxy]:
    """Run a proxy on a free port of this machine; `url` is where."""
    proxy = OfficeProxy(websockets=websockets, streams=streams)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = "http://{}:{}".format(*server.sockets[0].getsockname())
    try:
        yield proxy
    finally:
        server.close()


@asynccontextmanager
async def _opened(host: str, port: int) -> AsyncIterator[Pipe]:
    reader, writer = await asyncio.open_connection(host.strip("[]"), port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK):
            if writer is not None:
                writer.write(chunk)
                await writer.drain()


async def _both(*directions: Awaitable[None]) -> None:
    """Run both directions until one has ended."""
    tasks = [asyncio.ensure_future(direction) for direction in directions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
