"""The edge, composed."""

import os
from pathlib import Path

from fastapi import FastAPI
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from tapewire.auth import AuthSettings, Revoking, Verifier
from tapewire.broker import Caller, Publisher
from tapewire.edge import operators, revocations
from tapewire.edge.connection import commands
from tapewire.edge.connection.channels import ACCOUNTS
from tapewire.edge.connection.commands import Commands
from tapewire.edge.connection.effects import Kind
from tapewire.edge.dispatch import Dispatch
from tapewire.edge.fallback import requests
from tapewire.edge.fallback.fallback import Fallbacks
from tapewire.edge.fallback.forwarding import Forwarding
from tapewire.edge.figures import Figures
from tapewire.edge.live.audience import Audience
from tapewire.edge.live.holdings import Holdings
from tapewire.edge.live.node import Node
from tapewire.edge.live.pacing import Pacing
from tapewire.edge.live.snapshots import Snapshots
from tapewire.edge.live.wishes import Wishes
from tapewire.edge.mailbox.lines import Lines
from tapewire.edge.mailbox.mailboxes import Mailboxes
from tapewire.edge.mailbox.receipts import Receipts
from tapewire.edge.mailbox.relay import Relays
from tapewire.edge.mailbox.subscriptions import Subscriptions
from tapewire.edge.office import Office
from tapewire.edge.runtime.admin import Admin
from tapewire.edge.runtime.clock import Clock
from tapewire.edge.runtime.links import Links
from tapewire.edge.runtime.tasks import Tasks
from tapewire.edge.settings import EdgeSettings
from tapewire.edge.siblings import Siblings
from tapewire.edge.transport.wire import Tally
from tapewire.edge.websocket.conduct import Conduct
from tapewire.edge.websocket.gate import Gate
from tapewire.edge.websocket.subscribing import Subscribing
from tapewire.edge.workers import SIBLINGS, WORKER
from tapewire.service import create_app

DESCRIPTION = (
    "Client connections: `/ws` speaks the subprotocol `tapewire.v1` (docs/protocol.md). Without "
    "WebSocket the same is had by `/v1/stream` or `/v1/poll`, and `/v1/messages`."
)


def build(settings: EdgeSettings, auth: AuthSettings) -> FastAPI:
    """Return the edge's application; run it with ``SERVER_OPTIONS``."""
    tasks = Tasks()
    tally = Tally()
    live, passing, pacing = Audience(), Audience(), Pacing()
    holdings = Holdings(live, passing, pacing)
    clock = Clock(settings.edge_tick_s)
    links = Links(
        settings.amqp_url,
        node=settings.edge_node,
        heartbeat_s=settings.edge_amqp_heartbeat_s,
        tasks=tasks,
    )
    revoking = Revoking(links.consuming)
    verifier = Verifier.from_settings(auth, revoking)
    publisher = Publisher(links.publishing)
    half = max(1, settings.edge_attach_concurrency // 2)
    # Apart, so that trays whose node hangs keep nobody from their inbox.
    admins = {kind: Admin(links.topology, half) for kind in Kind}
    relays = Relays(links.publishing, settings.edge_node, tasks)
    receipts = Receipts(publisher, tasks)
    node = Node(
        links.consuming,
        settings.edge_node,
        tasks,
        Dispatch(
            live,
            passing,
            on_note=lambda note: lines.letters.read(note),
            on_forwarded=lambda message: forwarding.take(message),
            on_preferences=lambda body: wishes.changed(body),
            pacing=pacing,
        ),
        always=(ACCOUNTS,),
    )
    lines = Lines(
        consuming=links.consuming,
        admins=admins,
        node=node,
        node_name=settings.edge_node,
        relays=relays,
        receipts=receipts,
        tasks=tasks,
        clock=clock,
        on_ghost=lambda user, client: mailboxes.replaced(user, client),
        on_hang_up=lambda user, connection: mailboxes.hang_up(user, connection),
        ack_deadline_s=settings.edge_ack_deadline_s,
        requeue_after_s=settings.edge_requeue_after_s,
    )
    caller = Caller(links.publishing)
    wishes = Wishes(caller, holdings, tasks, deadline_s=settings.edge_snapshot_deadline_s)
    node.on_up.append(wishes.ask_again)
    subscriptions = Subscriptions(admins[Kind.RECENT], publisher)
    mailboxes = Mailboxes(
        lines=lines,
        holdings=holdings,
        node=node,
        admins=admins,
        subscriptions=subscriptions,
        wishes=wishes,
        tasks=tasks,
        limits=settings.limits,
        queue_type=settings.inbox_queue_type,
    )
    forwarding = Forwarding(caller, publisher, node, tasks)
    asked = Commands(publisher, deadline_s=settings.edge_command_deadline_s)
    conduct = Conduct(
        mailboxes=mailboxes,
        subscribing=Subscribing(
            mailboxes=mailboxes,
            holdings=holdings,
            node=node,
            admin=admins[Kind.RECENT],
            subscriptions=subscriptions,
            tasks=tasks,
            limits=settings.limits,
        ),
        snapshots=Snapshots(caller, deadline_s=settings.edge_snapshot_deadline_s),
        commands=asked,
        verifier=verifier,
        clock=clock,
        tasks=tasks,
        heartbeat_interval_s=settings.edge_heartbeat_interval_s,
        heartbeat_grace_s=settings.edge_heartbeat_grace_s,
    )
    gate = Gate(
        settings,
        verifier=verifier,
        revoking=revoking,
        mailboxes=mailboxes,
        conduct=conduct,
        clock=clock,
        tasks=tasks,
        tally=tally,
    )
    fallbacks = Fallbacks(
        settings, gate=gate, verifier=verifier, clock=clock, forwarding=forwarding, tasks=tasks
    )
    forwarding.on_asked = fallbacks.answer
    siblings = _siblings()
    app = create_app(
        settings,
        service="edge",
        # Drained in reverse: the gate closes connections, then the office waits for the lines.
        components=[
            *([] if siblings is None else [siblings]),
            clock,
            links,
            revoking,
            node,
            forwarding,
            verifier,
            receipts,
            Office(lines, mailboxes, clock),
            Figures(tally, gate=gate, lines=lines, mailboxes=mailboxes, relays=relays, clock=clock),
            gate,
        ],
        routers=[commands.router, requests.router, operators.router, revocations.router],
        title="Tapewire edge",
        description=DESCRIPTION,
    )
    if siblings is not None:
        app.state.gather = siblings.exposition
    app.state.verifier = verifier
    app.state.commands = asked
    app.state.revoking = revoking
    app.state.publisher = publisher
    app.state.mailboxes = mailboxes
    app.state.relays = relays
    app.state.lines = lines
    app.state.gate = gate
    app.state.fallbacks = fallbacks
    app.state.node = node
    app.state.links = links
    app.router.routes.append(WebSocketRoute("/ws", gate))
    app.state.entry = _entry(app, gate)
    return app


def _entry(app: FastAPI, gate: Gate) -> ASGIApp:
    """Return what uvicorn calls: sockets go straight to the gate, all else to FastAPI.

    Its middleware is made for requests; for a socket it costs a third of opening one, and eight
    coroutines for as long as it is open.
    """

    async def entry(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and scope["path"] == "/ws":
            await gate(scope, receive, send)
        else:
            await app(scope, receive, send)

    return entry


def _siblings() -> Siblings | None:
    """Return where this worker meets the others, or None when it is the only one."""
    directory, number = os.environ.get(SIBLINGS), os.environ.get(WORKER)
    return None if directory is None or number is None else Siblings(Path(directory), int(number))


def server_options(settings: EdgeSettings) -> dict[str, object]:
    """Return the options of ``uvicorn.Config`` that the edge depends on."""
    return {
        "ws": "tapewire.edge.transport.protocol:Socket",
        "ws_max_size": settings.edge_message_bytes,
        "ws_ping_interval": None,  # ours carry sequence numbers
        "ws_per_message_deflate": True,
        "http": "tapewire.edge.fallback.http_protocol:Http",
    }
