"""The load generator's process: thousands of client connections on one epoll, and no parsing.

Every message of a benchmark carries one byte ``^`` that stands nowhere else, so counting messages
is counting that byte in what ``recv`` returned: one pass in C, whatever the server joined or
split. Behind it stand 16 digits, the time of sending in microseconds of the monotonic clock, for
those scenarios that measure latency.

Commands come as JSON lines on stdin, answers go as JSON lines to stdout (see ``crowd``).
"""

import array
import base64
import heapq
import json
import os
import random
import re
import resource
import select
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

MARK: Final = b"^"
STAMP: Final = 17  # the mark and 16 digits
ALERT: Final = re.compile(rb'"id":"([^"]{1,64})"[^{}]*?"ack":true')
BUFFER: Final = 1 << 20
SIGN_OF_LIFE_S: Final = 12.0
DRAINED: Final = b"\x0f\xa0draining"  # a close frame's 4000 and reason
PONG: Final = b"\x8a\x80\x00\x00\x00\x00"
RETRY_FIRST_S: Final = 0.5  # as the SDKs: full jitter, doubled each time
RETRY_CAP_S: Final = 20.0

Script: TypeAlias = list[tuple[bytes, bytes]]


class Client:
    """One connection: its socket and how far it has come in its script."""

    __slots__ = ("began", "carry", "count", "opened", "script", "socket", "step", "tail", "tries")

    def __init__(
        self, opened: socket.socket, script: Script, began: float | None = None, tries: int = 1
    ) -> None:
        self.socket = opened
        self.script = script
        self.step = 0
        self.began = time.perf_counter() if began is None else began
        self.tries = tries
        self.opened: list[float] = []
        self.carry = b""
        self.tail = b""
        self.count = 0


class Swarm:
    """All connections, and what was counted."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.clients: dict[int, Client] = {}
        self.opening: dict[int, Client] = {}
        self.waiting: list[Script] = []
        self.later: list[tuple[float, float, int, Script]] = []
        self.address = ("", 0)
        self.in_flight = 64
        self.receive_buffer = 0
        self.lost = 0
        self.failed = 0
        self.times: list[list[float]] = []
        self.began = 0.0
        self.total = self.bytes = self.receives = 0
        self.credit_every = self.credit_at = 0
        self.goal: int | None = None
        self.latencies = array.array("q")
        self.latency = False
        self.acking = False
        self.heard: dict[int, list[int]] = {}
        self.follow = False
        self.followed: list[float] = []
        self.again = 0
        self.buffer = bytearray(BUFFER)
        self.view = memoryview(self.buffer)
        self.inbox = b""
        self.life_at = time.monotonic() + SIGN_OF_LIFE_S
        self.commands: dict[str, Callable[[dict[str, Any]], None]] = {
            "open": self.on_open,
            "reset": self.on_reset,
            "tell": self.on_tell,
            "credit": self.on_credit,
            "stall": self.on_stall,
            "close": self.on_close,
            "send": self.on_send,
            "heard": self.on_heard,
            "follow": self.on_follow,
            "followed": self.on_followed,
        }

    def say(self, **answer: Any) -> None:
        """Write one answer."""
        os.write(1, json.dumps(answer).encode() + b"\n")

    # Commands

    def on_open(self, asked: dict[str, Any]) -> None:
        """Open connections, ``in_flight`` at a time."""
        scripts = [
            [(base64.b64decode(e), base64.b64decode(s)) for e, s in script]
            for script in asked["scripts"]
        ]
        self.waiting = list(reversed(scripts * asked.get("times", 1)))
        self.address = (asked["host"], asked["port"])
        self.in_flight = asked.get("in_flight", 64)
        self.receive_buffer = asked.get("receive_buffer", 0)
        self.times, self.failed, self.began = [], 0, time.perf_counter()
        self.more()

    def on_reset(self, asked: dict[str, Any]) -> None:
        """Count from zero."""
        self.total = self.bytes = self.receives = self.lost = 0
        self.latency, self.acking = asked.get("latency", False), asked.get("acking", False)
        self.latencies = array.array("q")
        self.heard = {}
        self.credit_every = self.credit_at = 0
        for client in self.clients.values():
            client.count = 0
            client.carry = client.tail = b""
        self.say(reset=True)

    def on_credit(self, asked: dict[str, Any]) -> None:
        """Say so each time that ``every`` more messages have come."""
        self.credit_every = self.credit_at = asked["every"]

    def on_tell(self, asked: dict[str, Any]) -> None:
        """Answer with what was counted."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        counts = [client.count for client in self.clients.values()]
        answer: dict[str, Any] = {
            "told": True,
            "total": self.total,
            "bytes": self.bytes,
            "receives": self.receives,
            "least": min(counts, default=0),
            "most": max(counts, default=0),
            "clients": len(self.clients),
            "lost": self.lost,
            "cpu": used.ru_utime + used.ru_stime,
            "at": time.perf_counter(),
        }
        if self.latency:
            found = sorted(self.latencies)
            answer["latencies"] = found[:: max(1, len(found) // 20_000)]
            answer["worst"] = found[-1] if found else 0
        self.say(**answer)

    def on_heard(self, _: dict[str, Any]) -> None:
        """Answer with when each message reached its first and its last connection."""
        self.say(heard=list(self.heard.items()))

    def on_stall(self, asked: dict[str, Any]) -> None:
        """Never read again from the first ``count`` connections."""
        for fd in list(self.clients)[: asked["count"]]:
            self.epoll.unregister(fd)
        self.say(stalled=asked["count"])

    def on_send(self, asked: dict[str, Any]) -> None:
        """Write bytes to every connection."""
        data = base64.b64decode(asked["data"])
        for client in self.clients.values():
            client.socket.send(data)
        self.say(sent=len(self.clients))

    def on_follow(self, asked: dict[str, Any]) -> None:
        """From now on, open each connection anew that a server closes, there.

        At once the first time, then with jitter, as a real client does; its time goes on.
        """
        self.follow, self.address = True, (asked["host"], asked["port"])
        self.in_flight = 1 << 20
        self.followed, self.again = [], 0
        self.say(follows=True)

    def on_followed(self, _: dict[str, Any]) -> None:
        """Answer with how long each took that was opened anew, and how many needed more tries."""
        self.say(followed=self.followed, again=self.again)

    def on_close(self, _: dict[str, Any]) -> None:
        """Cut every connection."""
        for client in [*self.clients.values(), *self.opening.values()]:
            client.socket.close()
        self.clients, self.opening, self.waiting, self.later = {}, {}, [], []
        self.say(closed=True)

    # Opening

    def more(self) -> None:
        """Keep ``in_flight`` connections opening, and tell when all are open."""
        while self.waiting and len(self.opening) < self.in_flight:
            self.connect(self.waiting.pop())
        if not self.waiting and not self.opening and not self.follow:
            self.say(
                opened=len(self.times),
                failed=self.failed,
                seconds=time.perf_counter() - self.began,
                times=self.times,
            )

    def connect(self, script: Script, began: float | None = None, tries: int = 1) -> None:
        """Begin one connection; ``began``: when its client first tried."""
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.receive_buffer:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        opened.connect_ex(self.address)
        self.opening[opened.fileno()] = Client(opened, script, began, tries)
        self.epoll.register(opened.fileno(), select.EPOLLOUT | select.EPOLLIN)

    def retry(self) -> None:
        """Begin those anew that have waited for their next try."""
        now = time.perf_counter()
        while self.later and self.later[0][0] <= now:
            _, began, tries, script = heapq.heappop(self.later)
            self.connect(script, began, tries)

    def advance(self, fd: int, client: Client, events: int) -> None:
        """Take a connection on in its script."""
        try:
            if client.step == 0 and events & select.EPOLLOUT:
                client.socket.send(client.script[0][1])
                client.step = 1
                self.epoll.modify(fd, select.EPOLLIN)
                return
            data = client.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop(fd, client)
            return
        client.carry += data
        while client.step < len(client.script):
            expect, send = client.script[client.step]
            if expect not in client.carry:
                return
            client.carry = client.carry.split(expect, 1)[1]
            client.opened.append(time.perf_counter() - client.began)
            client.step += 1
            if send:
                client.socket.send(send)
        del self.opening[fd]
        self.clients[fd] = client
        self.times.append(client.opened)
        if self.follow:
            self.followed.append(client.opened[-1])
        rest, client.carry = client.carry, b""
        if self.acking and rest:
            self.acknowledge(client, rest)
        self.more()

    def drop(self, fd: int, client: Client) -> None:
        """Forget a connection that the server closed."""
        self.epoll.unregister(fd)
        client.socket.close()
        if self.opening.pop(fd, None) is not None:
            if self.follow:
                self.again += 1
                wait_s = random.uniform(0, min(RETRY_CAP_S, RETRY_FIRST_S * 2**client.tries))
                due = time.perf_counter() + wait_s
                heapq.heappush(self.later, (due, client.began, client.tries + 1, client.script))
            else:
                self.failed += 1
            self.more()
        else:
            del self.clients[fd]
            if self.follow:
                self.waiting.append(client.script)
                self.more()
            else:
                self.lost += 1

    # Counting

    def read(self, fd: int, client: Client) -> None:
        """Count what came."""
        try:
            size = client.socket.recv_into(self.buffer)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size or (self.follow and self.buffer.find(DRAINED, 0, size) >= 0):
            self.drop(fd, client)
            return
        found = self.buffer.count(MARK, 0, size)
        self.receives += 1
        self.bytes += size
        if found:
            client.count += found
            self.total += found
            if self.latency:
                self.measure(client, size)
        if self.acking:
            self.acknowledge(client, bytes(self.view[:size]))

    def measure(self, client: Client, size: int) -> None:
        """Note how old each message is."""
        now = time.monotonic_ns() // 1000
        at = self.buffer.find(MARK, 0, size)
        while at >= 0:
            stamp = self.buffer[at + 1 : at + STAMP] if at + STAMP <= size else b""
            if len(stamp) == STAMP - 1:  # one cut in two is counted, not measured
                sent = int(stamp)
                self.latencies.append(now - sent)
                times = self.heard.get(sent)
                if times is None:
                    self.heard[sent] = [now, now]
                else:
                    times[1] = now
            at = self.buffer.find(MARK, at + 1, size)

    def acknowledge(self, client: Client, data: bytes) -> None:
        """Ack every alert that is whole; its handler has nothing to do."""
        data = client.tail + data
        end = 0
        ids: list[str] = []
        for found in ALERT.finditer(data):
            ids.append(found[1].decode())
            end = found.end()
        client.tail = data[end:][-4096:]
        if ids:
            payload = json.dumps({"type": "ack", "ids": ids}, separators=(",", ":")).encode()
            size = len(payload)
            long = b"\x81\xfe" + size.to_bytes(2, "big")
            head = bytes((0x81, 0x80 | size)) if size < 126 else long
            client.socket.send(head + b"\x00\x00\x00\x00" + payload)

    # The loop

    def run(self) -> None:
        """Serve until stdin ends."""
        os.set_blocking(0, False)
        self.epoll.register(0, select.EPOLLIN)
        while True:
            for fd, events in self.epoll.poll(0.02 if self.later else 1.0):
                client = self.clients.get(fd)
                if client is not None:
                    self.read(fd, client)
                elif fd in self.opening:
                    self.advance(fd, self.opening[fd], events)
                elif fd == 0 and not self.listen():
                    return
            self.turn()

    def turn(self) -> None:
        """Do what is due by now."""
        if self.later:
            self.retry()
        while self.credit_every and self.total >= self.credit_at:
            self.credit_at += self.credit_every
            os.write(1, b'{"credit":1}\n')
        if time.monotonic() >= self.life_at:
            self.life_at += SIGN_OF_LIFE_S
            for client in self.clients.values():
                try:
                    client.socket.send(PONG)
                except OSError:
                    continue

    def listen(self) -> bool:
        """Carry out commands; False when there will be no more."""
        while True:
            try:
                data = os.read(0, 1 << 20)
            except BlockingIOError:
                return True
            if not data:
                return False
            self.inbox += data
            *lines, self.inbox = self.inbox.split(b"\n")
            for line in lines:
                asked = json.loads(line)
                self.commands[asked["do"]](asked)


if __name__ == "__main__":
    os.set_blocking(1, True)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sys.setswitchinterval(1)
    Swarm().run()
