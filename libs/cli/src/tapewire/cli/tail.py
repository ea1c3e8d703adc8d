"""`tapewire tail`: a live view of what one user sees, over the Python SDK."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tapewire.cli.board import Board
from tapewire.cli.console import Failure, out, print_json
from tapewire.cli.options import Json, RunDir, names, the_fleet

if TYPE_CHECKING:
    from tapewire.client import Message, StateChange, WebSocketClient
    from tapewire.fleet.record import Fleet

TOKEN_TTL_S = 600
SYMBOLS = ("SPY", "QQQ", "AAPL", "MSFT", "NVDA", "BTC-USD")  # what the simulated feed trades

User = Annotated[str, typer.Option("--user", "-u", help="Whose events.")]
Channels = Annotated[
    list[str] | None,
    typer.Option(
        "--channels",
        "-c",
        help="Such as `sessions:alice,market:SPY`; repeat, or separate by commas. The user's "
        "sessions, the system's notices and the demo's quotes when left out.",
    ),
]
EdgeUrl = Annotated[
    str | None, typer.Option("--url", help="An edge; the running fleet's when left out.")
]
GivenToken = Annotated[
    str | None, typer.Option("--token", envvar="TAPEWIRE_TOKEN", help="Instead of a fresh one.")
]
Ack = Annotated[
    bool,
    typer.Option("--ack", help="Acknowledge critical alerts: they are then gone from all devices."),
]
Limit = Annotated[
    int | None, typer.Option("--limit", "-n", min=1, help="End after so many messages.")
]


def tail(
    user: User = "alice",
    channels: Channels = None,
    ack: Ack = False,
    limit: Limit = None,
    url: EdgeUrl = None,
    token: GivenToken = None,
    run_dir: RunDir = None,
    as_json: Json = False,
) -> None:
    """Watch a user's events as they arrive, until Ctrl-C.

    Looking on changes nothing: critical alerts stay open unless `--ack` is given.
    """
    if url and not token:
        raise Failure("--url needs --token or TAPEWIRE_TOKEN", as_json=as_json)
    fleet = None if url and token else the_fleet(run_dir, as_json=as_json)
    client = make_client(fleet, user, names(channels), url=url, token=token, ack=ack)
    with contextlib.suppress(KeyboardInterrupt):
        if as_json:
            asyncio.run(watch(client, print_json, limit=limit))
            return
        with Board(out) as board:
            asyncio.run(watch(client, board.show, board=board, limit=limit))


def make_client(
    fleet: "Fleet | None",
    user: str,
    channels: Sequence[str] = (),
    *,
    url: str | None = None,
    token: str | None = None,
    ack: bool = False,
) -> "WebSocketClient":
    """The SDK's client for what a command shows; its tokens are minted as they are needed."""
    from tapewire.auth import mint
    from tapewire.client import WebSocketClient

    def fresh() -> str:
        assert fleet is not None
        return mint(fleet.jwt_secret, user, ttl_s=TOKEN_TTL_S)

    edges = [url] if url else list(fleet.urls.edge if fleet else ())
    wanted = list(channels) or [f"sessions:{user}", "system", *(f"market:{s}" for s in SYMBOLS)]
    return WebSocketClient(edges, token or fresh, channels=wanted, auto_ack=ack)


View = Callable[[Mapping[str, Any]], None]


async def watch(
    client: "WebSocketClient",
    view: View,
    *,
    board: Board | None = None,
    limit: int | None = None,
    until: asyncio.Event | None = None,
) -> None:
    """Shows messages until `limit` of them came, `until` is set, or SIGTERM.

    Raises:
        Failure: the edge refuses this client for good.
    """
    from tapewire.client import ClientError

    done = until or asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
    client.on_message("*", _until(limit, view, done))
    if board is not None:
        client.on_state(_teller(board))
    showing = asyncio.create_task(_until_closed(client, board))
    told = asyncio.create_task(done.wait())
    try:
        await asyncio.wait([showing, told], return_when=asyncio.FIRST_COMPLETED)
        if showing.done():
            showing.result()
    except ClientError as error:
        raise Failure(str(error)) from None
    finally:
        for task in (showing, told):
            task.cancel()
        await asyncio.gather(showing, told, return_exceptions=True)
        await client.disconnect()


async def _until_closed(client: "WebSocketClient", board: Board | None) -> None:
    """Keeps the client connected; tells of channels that it was refused."""
    await client.connect()
    if board is not None:
        for channel, code in client.rejected.items():
            board.note(f"{channel}: {code}", "yellow")
    await client.wait_closed()


def _until(limit: int | None, view: View, done: asyncio.Event) -> "Callable[[Message[Any]], None]":
    """A handler that shows messages, and sets `done` after `limit` of them."""
    left = count(1)

    def on_message(message: "Message[Any]") -> None:
        if done.is_set():
            return
        try:
            view(message.raw)
        except BrokenPipeError:  # the reader of our output has seen enough
            done.set()
        if next(left) == limit:
            done.set()

    return on_message


def _teller(board: Board) -> "Callable[[StateChange], None]":
    """A handler that tells when the connection is lost, and when it is back."""
    from tapewire.client import State

    def on_state(change: "StateChange") -> None:
        if change.after is State.RECONNECTING and change.before is State.CONNECTED:
            board.note("connection lost, coming back …", "yellow")
        elif change.after is State.CONNECTED and change.before is State.RECONNECTING:
            board.note("connected again", "green")

    return on_state
