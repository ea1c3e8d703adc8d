"""A TCP relay in front of a broker or database that tests can cut. Not part of a fleet."""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from yarl import URL

CHUNK: Final = 65_536
UNDERSTOOD_S: Final = 0.05  # the far end has read what it was sent, and done it


@dataclass(frozen=True)
class _Trap:
    pattern: re.Pattern[bytes]
    whole: bool
    silent: bool = False  # nothing is broken: nothing passes any more
    sprung: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Cable:
    """Relays every connection to ``far`` until it is cut.

    Args:
        far: where the other end is, such as an AMQP URL.
        latency_s: how long each piece waits on its way.
    """

    def __init__(self, far: str, *, latency_s: float = 0.0) -> None:
        self._far = URL(far)
        self.latency_s = latency_s
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._frozen: set[asyncio.StreamWriter] = set()
        self._trap: _Trap | None = None
        self.broken = False

    async def start(self) -> str:
        """Begin to relay, unless it does; return the URL of ``far`` through the relay."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self.url

    @property
    def url(self) -> str:
        """The URL of ``far`` through the relay, once it was started."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return str(self._far.with_host("127.0.0.1").with_port(port))

    def cut(self) -> None:
        """Break every connection at once, without a goodbye; new ones are relayed again."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        self._frozen.clear()

    async def cut_at(self, pattern: re.Pattern[bytes], *, whole: bool, within_s: float) -> None:
        """Break every connection when ``pattern`` is next sent to the far end; return then.

        Args:
            pattern: looked for in each piece that is read; not across two.
            whole: the far end gets that piece, and no answer comes back; else it gets it up to the
                end of what was found.
            within_s: how long to wait for it.

        Raises:
            TimeoutError: it did not pass in time.
        """
        await self._set(_Trap(pattern, whole), within_s)

    async def freeze_at(self, pattern: re.Pattern[bytes], *, within_s: float) -> None:
        """`freeze` when ``pattern`` was next sent to the far end: it gets it, no answer comes back.

        Raises:
            TimeoutError: it did not pass in time.
        """
        await self._set(_Trap(pattern, whole=True, silent=True), within_s)

    async def _set(self, trap: _Trap, within_s: float) -> None:
        self._trap = trap
        try:
            async with asyncio.timeout(within_s):
                await trap.sprung
        finally:
            self._trap = None

    def freeze(self) -> None:
        """Let nothing pass any more on the connections there are, and break none; new ones work.

        Both ends are left with a half-open connection, as after a NAT forgot it.
        """
        self._frozen |= self._writers

    def pull_out(self) -> None:
        """Break every connection and refuse new ones, until `plug_in`."""
        self.broken = True
        self.cut()

    def plug_in(self) -> None:
        """Relay new connections again."""
        self.broken = False

    async def stop(self) -> None:
        """Break everything and stop listening."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.broken:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(self._far.host, self._far.port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        for source, sink, back in ((reader, far_writer, writer), (far_reader, writer, None)):
            task = asyncio.create_task(self._pump(source, sink, back))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        back: asyncio.StreamWriter | None,
    ) -> None:
        """Relay until the end; ``back`` is the way back, of what goes to the far end."""
        with suppress(OSError):
            while data := await source.read(CHUNK):
                if self.latency_s:
                    await asyncio.sleep(self.latency_s)
                trap = self._trap
                if back is not None and trap and (found := trap.pattern.search(data)):
                    await self._spring(
                        trap, sink, back, data if trap.whole else data[: found.end()]
                    )
                elif sink not in self._frozen:
                    sink.write(data)
        if sink not in self._frozen:
            sink.close()

    async def _spring(
        self, trap: _Trap, sink: asyncio.StreamWriter, back: asyncio.StreamWriter, data: bytes
    ) -> None:
        self._trap = None
        self._frozen.add(back)
        sink.write(data)
        await sink.drain()
        await asyncio.sleep(UNDERSTOOD_S)
        if trap.silent:
            self.freeze()
        else:
            self.cut()
        if not trap.sprung.done():
            trap.sprung.set_result(None)
