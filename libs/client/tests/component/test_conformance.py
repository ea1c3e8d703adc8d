"""Replays ``libs/client/conformance`` against the SDK; its README is the specification."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tapewire.client import (
    Backoff,
    CallbackStore,
    ClientError,
    Message,
    RequestRefused,
    WebSocketClient,
)

FOLDER = Path(__file__).parents[2] / "conformance"
SCRIPTS = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
DEADLINE_S = 10.0


class Application:
    """The application's half: one client, its handlers, and what they were called with."""

    def __init__(self, url: str, spec: dict[str, Any]) -> None:
        self._tokens = list(spec.get("token", ["t-1"]))
        self._answers = {key: list(words) for key, words in spec.get("handlers", {}).items()}
        self._gates: dict[str, asyncio.Event] = {}
        self.calls: list[dict[str, Any]] = []
        self.tasks: dict[str, asyncio.Task[Any]] = {}
        remembered = spec.get("remembered")
        store = None
        if remembered is not None:
            store = CallbackStore(lambda: remembered, lambda ids: None)
        first_ms, cap_ms = spec.get("backoffMs", [1, 50])
        self.client = WebSocketClient(
            url,
            token=self._token,
            client_id=spec.get("clientId"),
            inbox=spec.get("inbox"),
            channels=spec.get("channels", ()),
            store=store,
            auto_ack=spec.get("autoAck", True),
            max_attempts=spec.get("maxAttempts"),
            heartbeat_grace_s=spec.get("heartbeatGraceMs", 10_000) / 1000,
            backoff=Backoff(first_ms / 1000, cap_ms / 1000),
            stable_s=spec.get("stableMs", 5000) / 1000,
            drain_s=0.5,
        )
        self.client.on_message("*", self._on_message)
        self.client.on_gap(lambda recovered: self.calls.append({"on": "gap"}))
        self.client.on_unknown(
            lambda message: self.calls.append({"on": "unknown", "type": message.type})
        )

    async def _token(self) -> str:
        return self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]

    async def _on_message(self, message: Message[Any]) -> None:
        self.calls.append({"on": "message", "type": message.type, "id": message.id})
        answers = self._answers.get(message.id or "")
        answer = answers.pop(0) if answers else "return"
        if answer == "raise":
            raise RuntimeError("as the transcript says")
        if answer == "hold":
            await self.gate(message.id or "").wait()

    def gate(self, message_id: str) -> asyncio.Event:
        return self._gates.setdefault(message_id, asyncio.Event())

    def do(self, call: dict[str, Any], name: str) -> None:
        ((verb, argument),) = call.items()
        actions: dict[str, Callable[[], Awaitable[Any]]] = {
            "subscribe": lambda: self.client.subscribe(argument),
            "unsubscribe": lambda: self.client.unsubscribe(argument),
            "ack": lambda: self.client.ack(*argument),
            "emergencyStop": lambda: self.client.send_command(
                "emergency_stop",
                session_id=argument["sessionId"],
                idempotency_key=argument.get("idempotencyKey"),
            ),
            "reconnect": lambda: self.client.reconnect(),
            "disconnect": lambda: self.client.disconnect(),
        }

        async def act() -> Any:
            return await actions[verb]()

        self.tasks[name] = asyncio.create_task(act())


class Replay:
    """Walks through a transcript's steps."""

    def __init__(self, server: Any, spec: dict[str, Any]) -> None:
        self._server = server
        self._app = Application(server.url, spec)
        self._variables: dict[str, Any] = {}
        self._called = 0  # calls that a step has looked at
        self._acked: list[str] = []
        self._held: list[dict[str, Any]] = []  # frames read ahead while looking for acks

    async def run(self, steps: list[dict[str, Any]]) -> None:
        connecting = asyncio.create_task(self._app.client.connect())
        try:
            for number, step in enumerate(steps):
                try:
                    await self._step(step)
                except (AssertionError, TimeoutError) as error:
                    raise AssertionError(f"step {number}: {json.dumps(step)}: {error}") from error
            self._gather_acks()
            assert not self._held, f"unexpected frames: {self._held}"
            assert not self._acked, f"unexpected acks: {self._acked}"
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            await self._app.client.disconnect()
            for task in self._app.tasks.values():
                task.cancel()
            await asyncio.gather(*self._app.tasks.values(), return_exceptions=True)

    async def _step(self, step: dict[str, Any]) -> None:
        name, argument = next(iter(step.items()))
        await getattr(self, f"_{name}")(self._filled(argument), step)

    async def _accept(self, wanted: dict[str, Any], _: Any) -> None:
        since = time.monotonic()
        handshake = await self._server.accept(wanted.get("withinMs", DEADLINE_S * 1000) / 1000)
        assert time.monotonic() - since >= wanted.get("notBeforeMs", 0) / 1000
        assert handshake.token == wanted["token"]
        assert handshake.query == wanted.get("query", {})

    async def _refuse(self, status: int, _: Any) -> None:
        await self._server.refuse(status)

    async def _welcome(self, fields: dict[str, Any], _: Any) -> None:
        await self._server.welcome(**fields)

    async def _send(self, frame: dict[str, Any] | str, _: Any) -> None:
        await self._server.send(frame)

    async def _expect(self, wanted: dict[str, Any], _: Any) -> None:
        if wanted["type"] == "ack":
            async with asyncio.timeout(DEADLINE_S):
                while len(self._acked) < len(wanted["ids"]):
                    self._sort(await self._server.frame())
            assert self._acked == wanted["ids"], self._acked
            self._acked.clear()
            return
        async with asyncio.timeout(DEADLINE_S):
            while not self._held:
                self._sort(await self._server.frame())
        frame = self._held.pop(0)
        for field, value in wanted.items():
            got = frame.get(field)
            if isinstance(value, str) and value.startswith("$"):
                assert got is not None, frame
                self._variables[value] = got
            elif field == "channels":
                assert sorted(got or []) == sorted(value), frame
            else:
                assert got == value, frame

    async def _calls(self, wanted: list[dict[str, Any]], _: Any) -> None:
        await self._until(lambda: len(self._app.calls) - self._called >= len(wanted))
        got = self._app.calls[self._called :]
        self._called = len(self._app.calls)
        assert len(got) == len(wanted), got
        for call, fields in zip(got, wanted, strict=True):
            assert {**call, **fields} == call, got

    async def _quiet(self, ms: int, _: Any) -> None:
        await asyncio.sleep(ms / 1000)
        self._gather_acks()
        assert not self._held, self._held
        assert not self._acked, self._acked
        assert len(self._app.calls) == self._called, self._app.calls[self._called :]
        assert self._server.handshakes.empty(), "a new connection"

    async def _release(self, message_id: str, _: Any) -> None:
        self._app.gate(message_id).set()

    async def _close(self, code: int, _: Any) -> None:
        await self._server.close(code)

    async def _drop(self, *_: Any) -> None:
        self._server.drop()

    async def _closed(self, code: int | bool, _: Any) -> None:
        got = await self._server.closed()
        assert code is True or got == code, got

    async def _state(self, state: str, _: Any) -> None:
        await self._until(lambda: self._app.client.state == state)

    async def _do(self, call: dict[str, Any], step: dict[str, Any]) -> None:
        self._app.do(call, step.get("as", f"unnamed {len(self._app.tasks)}"))

    async def _result(self, name: str, step: dict[str, Any]) -> None:
        task = self._app.tasks[name]
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.wait({task})
        error = task.exception()
        if error is not None:
            assert isinstance(error, ClientError), repr(error)
            code = error.code if isinstance(error, RequestRefused) else "any"
            assert step.get("error") in {"any", code}, repr(error)
            return
        assert "ok" in step, "no error came"
        if task.result() is not None:
            got = task.result().model_dump(by_alias=True)
            assert {**got, **self._filled(step["ok"])} == got, got

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.005)

    def _gather_acks(self) -> None:
        while not self._server.frames.empty():
            self._sort(self._server.frames.get_nowait())

    def _sort(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "ack":
            self._acked.extend(frame["ids"])
        elif frame["type"] != "heartbeat":
            self._held.append(frame)

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._filled(each) for key, each in value.items()}
        return self._variables.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
async def test_client_behaves_as_the_transcript_says(script: dict[str, Any], server: Any) -> None:
    await Replay(server, script["client"]).run(script["steps"])
