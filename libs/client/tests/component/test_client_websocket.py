"""What the Python SDK does beyond the transcripts, against a real local server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tapewire.client import (
    Backoff,
    ClientError,
    GaveUp,
    Message,
    NotConnected,
    RequestLost,
    State,
    StateChange,
    TokenRefused,
    WebSocketClient,
)
from tapewire.contracts import RiskAlert

if TYPE_CHECKING:
    from ..conftest import ScriptedServer as Server

FAST = Backoff(first_s=0.001, cap_s=0.05)


def alert(message_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "risk_alert",
        "id": message_id,
        "userId": "alice",
        "sessionId": "s-17",
        "alertLevel": "critical",
        "alertType": "loss_limit",
        "message": "Loss limit at 92 %",
        "currentValue": 92.1,
        "threshold": 90.0,
        "timestamp": "2026-01-05T14:30:00Z",
        "ack": True,
        **fields,
    }


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def welcomed(client: WebSocketClient, server: "Server", **welcome: Any) -> None:
    connecting = asyncio.create_task(client.connect())
    await server.accept()
    await server.welcome(**welcome)
    await connecting


@pytest.fixture
async def client(server: "Server") -> AsyncIterator[WebSocketClient]:
    client = WebSocketClient(server.url, token=lambda: "t-1", backoff=FAST, drain_s=1)
    yield client
    await client.disconnect()


async def test_decorated_and_typed_handlers_get_the_model(
    client: WebSocketClient, server: "Server"
) -> None:
    levels: list[str] = []
    words: list[str] = []

    @client.on_message(RiskAlert)
    def typed(message: Message[RiskAlert]) -> None:
        levels.append(message.event.alert_level)

    @client.on_message("risk_alert")
    async def raw(message: Message[Any]) -> None:
        words.append(message["message"])

    await welcomed(client, server)
    await server.send(alert("a"))
    assert await server.frame() == {"type": "ack", "ids": ["a"]}
    assert (levels, words) == (["critical"], ["Loss limit at 92 %"])
    client.off_message(RiskAlert, typed)
    await server.send(alert("b"))
    assert await server.frame() == {"type": "ack", "ids": ["b"]}
    assert (len(levels), len(words)) == (1, 2)


async def test_loop_acks_a_message_when_it_comes_back_for_the_next(
    client: WebSocketClient, server: "Server"
) -> None:
    await welcomed(client, server)
    await server.send({"type": "acked", "ids": ["x"]})
    for message_id in "abc":
        await server.send(alert(message_id))
    handled: list[str | None] = []
    async for message in client.messages("risk_alert"):
        handled.append(message.id)
        if message.id == "b":
            assert await server.frame() == {"type": "ack", "ids": ["a"]}
            break
    assert handled == ["a", "b"]
    async for message in client.messages("risk_alert"):  # "b" comes again only from the server
        assert message.id == "c"
        break
    await client.disconnect()
    assert server.frames.empty()


async def test_loop_ends_when_the_client_is_closed_and_raises_when_it_failed(
    client: WebSocketClient, server: "Server"
) -> None:
    async def ids() -> list[str | None]:
        return [message.id async for message in client.messages()]

    await welcomed(client, server)
    loop = asyncio.create_task(ids())
    await server.send(alert("a"))
    await server.frame()
    await client.disconnect()
    assert await loop == ["a"]

    await welcomed(client, server)
    loop = asyncio.create_task(ids())
    await server.close(4506, "exec-1 is elsewhere")
    with pytest.raises(ClientError, match="exec-1 is elsewhere"):
        await loop
    with pytest.raises(ClientError, match="4506"):
        await client.wait_closed()
    assert client.state is State.FAILED


async def test_disconnect_finishes_what_has_come_and_acks_it(
    client: WebSocketClient, server: "Server"
) -> None:
    handled: list[str | None] = []

    async def slow(message: Message[Any]) -> None:
        await asyncio.sleep(0.05)
        handled.append(message.id)

    client.on_message("*", slow)
    await welcomed(client, server)
    for message_id in "abc":
        await server.send(alert(message_id))
    await until(lambda: handled)
    await client.disconnect()
    assert await server.closed() == 1000
    acked: list[str] = []
    while not server.frames.empty():
        acked += server.frames.get_nowait()["ids"]
    assert acked == handled
    assert client.state is State.CLOSED


async def test_disconnect_inside_a_handler_acks_what_it_handled(
    client: WebSocketClient, server: "Server"
) -> None:
    async def last(message: Message[Any]) -> None:
        await client.disconnect()

    client.on_message("*", last)
    await welcomed(client, server)
    await server.send(alert("a"))
    assert await server.frame() == {"type": "ack", "ids": ["a"]}
    assert await server.closed() == 1000
    async with asyncio.timeout(10):
        await client.wait_closed()


async def test_disconnect_does_not_wait_for_ever_for_a_handler(server: "Server") -> None:
    client = WebSocketClient(server.url, token="t-1", drain_s=0.05)
    stuck = asyncio.Event()

    async def handler(message: Message[Any]) -> None:
        stuck.set()
        await asyncio.Event().wait()

    client.on_message("*", handler)
    await welcomed(client, server)
    await server.send(alert("a"))
    await stuck.wait()
    async with asyncio.timeout(10):
        await client.disconnect()
    assert await server.closed() == 1000
    assert server.frames.empty()


async def test_handlers_may_ask_the_server_while_messages_come(
    client: WebSocketClient, server: "Server"
) -> None:
    replies: list[list[str]] = []

    async def handler(message: Message[Any]) -> None:
        replies.append((await client.subscribe(["sessions:alice"])).channels)

    client.on_message("risk_alert", handler)
    await welcomed(client, server)
    await server.send(alert("a"))
    frame = await server.frame()
    for number in range(1200):  # more than the client reads ahead
        await server.send({"type": "market_data", "symbol": "SPY", "last": number})
    reply = {"type": "subscribed", "channels": ["user:alice", "sessions:alice"], "rejected": []}
    await server.send({**reply, "id": frame["id"]})
    assert await server.frame() == {"type": "ack", "ids": ["a"]}
    assert replies == [["user:alice", "sessions:alice"]]
    assert client.channels == ("user:alice", "sessions:alice")


async def test_next_edge_is_tried_when_one_fails(server: "Server", other_server: "Server") -> None:
    urls = [server.url, other_server.url]
    client = WebSocketClient(urls, token="t-1", backoff=FAST, shuffle=False)
    connecting = asyncio.create_task(client.connect())
    await server.refuse(503)
    await other_server.accept()
    await other_server.welcome()
    await connecting
    other_server.drop()
    await server.accept()
    await server.welcome()
    await until(lambda: client.state is State.CONNECTED)
    await client.disconnect()


async def test_draining_spreads_the_first_try_over_the_window(
    client: WebSocketClient, server: "Server", monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: list[StateChange] = []
    client.on_state(changes.append)
    await welcomed(client, server)
    object.__setattr__(client._settings, "random", lambda: 0.5)
    await server.send({"type": "draining", "windowMs": 60_000})
    await server.close(4000)
    await until(lambda: client.state is State.RECONNECTING)
    assert changes[-1].retry_in_s == 30
    assert changes[-1].code == 4000
    reconnecting = asyncio.create_task(client.reconnect())  # and the application need not wait
    await server.accept()
    await server.welcome()
    async with asyncio.timeout(10):
        await reconnecting
    assert client.state is State.CONNECTED


async def test_reconnect_drops_a_living_connection(
    client: WebSocketClient, server: "Server"
) -> None:
    await welcomed(client, server)
    reconnecting = asyncio.create_task(client.reconnect())
    assert (await server.accept()).query == {"resume": "true"}
    await server.welcome(connectionId="c-2")
    async with asyncio.timeout(10):
        await reconnecting
    assert client.welcome is not None
    assert client.welcome.connection_id == "c-2"


async def test_states_are_told_in_order_and_a_raising_listener_harms_nothing(
    client: WebSocketClient, server: "Server"
) -> None:
    states: list[State] = []

    @client.on_state
    def broken(change: StateChange) -> None:
        raise RuntimeError

    client.on_state(lambda change: states.append(change.after))
    await welcomed(client, server)
    server.drop()
    await server.accept()
    await server.welcome()
    await until(lambda: client.state is State.CONNECTED)
    await client.disconnect()
    assert [str(s) for s in states] == [
        "connecting",
        "connected",
        "reconnecting",
        "connected",
        "closed",
    ]


async def test_static_token_that_expired_stops_with_a_hint(server: "Server") -> None:
    client = WebSocketClient(server.url, token="t-1", backoff=FAST)
    await welcomed(client, server)
    await server.close(4004)
    with pytest.raises(TokenRefused, match="callable"):
        await client.wait_closed()
    await client.disconnect()


async def test_refused_token_is_raised_by_the_context_manager(server: "Server") -> None:
    connecting = asyncio.create_task(WebSocketClient(server.url, token="t-1").__aenter__())
    await server.refuse(401)
    with pytest.raises(TokenRefused, match="401"):
        await connecting


async def test_token_callback_that_raises_counts_as_a_failed_try(
    server: "Server", caplog: pytest.LogCaptureFixture
) -> None:
    async def token() -> str:
        raise OSError("the identity provider is away")

    client = WebSocketClient(server.url, token, max_attempts=3, backoff=FAST)
    with pytest.raises(GaveUp, match="identity provider"):
        await client.connect()
    await client.disconnect()


async def test_edge_that_is_away_is_tried_until_it_is_there(
    unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    client = WebSocketClient(url, token="t-1", max_attempts=2, backoff=FAST)
    with pytest.raises(GaveUp, match="2 failed attempts"):
        await client.connect()
    patient = WebSocketClient(url, token="t-1", backoff=FAST)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), patient:
            pytest.fail("nobody is there")
    assert patient.state is State.CLOSED
    await client.disconnect()


async def test_commands_are_not_queued(client: WebSocketClient, server: "Server") -> None:
    with pytest.raises(NotConnected):
        await client.send_command("emergency_stop", session_id="s-17")
    impatient = WebSocketClient(server.url, token="t-1", request_timeout_s=0.05)
    await welcomed(impatient, server)
    with pytest.raises(RequestLost, match="no answer"):
        await impatient.send_command("emergency_stop", session_id="s-17")
    await impatient.disconnect()


async def test_channels_given_up_while_away_are_unsubscribed_on_return(
    client: WebSocketClient, server: "Server"
) -> None:
    await client.subscribe(["market:SPY", "market:QQQ"])
    await client.unsubscribe(["market:QQQ"])
    await welcomed(client, server, channels=["user:alice", "market:QQQ", "market:SPY"])
    frame = await server.frame()
    assert (frame["type"], frame["channels"]) == ("unsubscribe", ["market:QQQ"])
    await server.send({"type": "unsubscribed", "id": frame["id"], "channels": ["market:QQQ"]})
    frame = await server.frame()
    assert (frame["type"], frame["channels"]) == ("subscribe", ["market:SPY"])


async def test_restarted_process_acks_again_without_handling_again(
    server: "Server", tmp_path: Path
) -> None:
    handled: list[str | None] = []
    for run in (1, 2):
        client = WebSocketClient(server.url, token="t-1", store=tmp_path / "alice")
        client.on_message("*", lambda message: handled.append(message.id))
        connecting = asyncio.create_task(client.connect())
        handshake = await server.accept()
        assert handshake.query["clientId"] == client.client_id
        assert handshake.query.get("resume") == (None if run == 1 else "true")
        await server.welcome()
        await connecting
        await server.send(alert("a", redelivered=run == 2))
        assert await server.frame() == {"type": "ack", "ids": ["a"]}
        await client.disconnect()
    assert handled == ["a"]


async def test_store_that_fails_costs_no_alert(
    server: "Server", caplog: pytest.LogCaptureFixture
) -> None:
    class Full:
        client_id = None

        async def load(self) -> None:
            return None

        async def remember(self, ids: object) -> None:
            raise OSError("disk full")

    client = WebSocketClient(server.url, token="t-1", store=Full())
    client.on_message("*", lambda message: None)
    await welcomed(client, server)
    await server.send(alert("a"))
    assert await server.frame() == {"type": "ack", "ids": ["a"]}
    assert "disk full" in caplog.text
    await client.disconnect()


async def test_alerts_left_to_the_application_come_again_to_the_next_process(
    server: "Server", tmp_path: Path
) -> None:
    for _ in range(2):
        shown: list[str | None] = []
        client = WebSocketClient(
            server.url, token="t-1", store=tmp_path / "alice", auto_ack=False, drain_s=1
        )
        client.on_message("*", lambda message, shown=shown: shown.append(message.id))
        await welcomed(client, server)
        await server.send(alert("a"))
        await until(lambda shown=shown: shown == ["a"])
        await client.disconnect()
    assert server.frames.empty()


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:8081", "ws://x/ws?token=1", ""])
def test_url_that_is_no_edges_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        WebSocketClient(url, token="t-1")


async def test_disconnect_in_a_loops_body_finishes_the_loop(
    client: WebSocketClient, server: "Server"
) -> None:
    await welcomed(client, server)
    for message_id in "ab":
        await server.send(alert(message_id))
    handled: list[str | None] = []
    async with asyncio.timeout(10):
        async for message in client.messages():
            handled.append(message.id)
            await until(lambda: len(client._dispatcher._queue) == 2 - len(handled))
            await client.disconnect()
    assert handled == ["a", "b"]
    acked = [await server.frame(), *([] if server.frames.empty() else [await server.frame()])]
    assert [message_id for frame in acked for message_id in frame["ids"]] == ["a", "b"]
    assert client.state is State.CLOSED


async def test_error_in_a_loops_body_leaves_at_once_and_unacked(server: "Server") -> None:
    async def app() -> None:
        async with WebSocketClient(server.url, token="t-1", drain_s=60) as client:
            async for message in client.messages():
                raise LookupError(message.id)

    running = asyncio.create_task(app())
    await server.accept()
    await server.welcome()
    await server.send(alert("a"))
    with pytest.raises(LookupError, match="a"):
        async with asyncio.timeout(10):
            await running
    assert await server.closed() == 1000
    assert server.frames.empty()


async def test_handler_can_reconnect_a_failed_client(
    client: WebSocketClient, server: "Server"
) -> None:
    done = asyncio.Event()

    async def handler(message: Message[Any]) -> None:
        await until(lambda: client.state is State.FAILED)
        await client.reconnect()
        done.set()

    client.on_message("*", handler)
    await welcomed(client, server)
    await server.send(alert("a"))
    await until(lambda: client._dispatcher._queue == type(client._dispatcher._queue)())
    await server.close(4503)
    await server.accept()
    await server.welcome()
    assert await server.frame() == {"type": "ack", "ids": ["a"]}
    assert done.is_set()
