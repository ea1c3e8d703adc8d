"""Desk, composed: what it consumes, what it serves, and what it works with."""

from datetime import timedelta
from pathlib import Path

from fastapi import APIRouter, FastAPI

from tapewire.auth import AuthSettings, Revoking, Verifier
from tapewire.broker import Consumer, Link, Publisher, Role, responder, topology
from tapewire.desk import (
    http_notifications,
    http_preferences,
    http_sessions,
    mailroom,
    scribe,
)
from tapewire.desk.cleaning import Cleaning
from tapewire.desk.http import REFUSALS, Rim
from tapewire.desk.mailroom import Mailroom
from tapewire.desk.outbox import Outbox
from tapewire.desk.scribe import Scribe
from tapewire.desk.settings import DeskSettings
from tapewire.desk.snapshot import Snapshots
from tapewire.service import create_app
from tapewire.service.database import Database, engine_from
from tapewire.service.unavailable import say_unavailable

MIGRATIONS = Path(__file__).parent / "migrations"
DESCRIPTION = """\
What a trader finds when they sit down: where every session stands, what was notified and what of
it is read, and how they want to be notified.
"""


def build(settings: DeskSettings, auth: AuthSettings) -> FastAPI:
    """Return the application.

    | in | handler | prefetch, side by side |
    |---|---|---|
    | queue `desk.events` | `Scribe.handle`, up to 128 in one commit | 256, 128 |
    | queue `mailroom` | `Mailroom.handle` | 1, 1 |
    | queue `desk.snapshot` (requests) | `Snapshots.answer` | 32, 16 |
    | table `outbox` | `Outbox` | one by one |
    | HTTP `/v1/…` | `http_….routes` | |
    """
    database = Database(engine_from(settings, "desk"), MIGRATIONS)
    publishing = Link(settings.amqp_url, Role.PUBLISH, name="desk")
    consuming = Link(settings.amqp_url, Role.CONSUME, name="desk")
    declaring = Link(settings.amqp_url, Role.TOPOLOGY, name="desk")
    publisher = Publisher(publishing, deadline_s=settings.desk_confirm_deadline_s)
    outbox = Outbox(database.engine, publisher)
    writing = Scribe(database.engine)
    events = Consumer(
        consuming,
        topology.DESK_EVENTS,
        writing.handle,
        prefetch=scribe.PREFETCH,
        concurrency=scribe.BATCH,
        also=topology.FLEET,
    )
    mail = Consumer(
        consuming,
        topology.MAILROOM,
        Mailroom(declaring, publisher, queue_type=settings.inbox_queue_type).handle,
        prefetch=mailroom.PREFETCH,
        also=topology.FLEET,
    )
    answers = responder(
        *(consuming, publisher, topology.DESK_SNAPSHOT),
        Snapshots(database.engine, writing.caught_up).answer,
    )
    router = APIRouter(prefix="/v1", responses=REFUSALS)
    for pages in (http_sessions, http_notifications, http_preferences):
        pages.routes(router, Rim(database.engine, outbox, writing.caught_up))
    revoking = Revoking(consuming)
    verifier = Verifier.from_settings(auth, revoking)
    app = create_app(
        settings,
        service="desk",
        components=(
            database,
            verifier,
            publishing,
            consuming,
            declaring,
            revoking,
            outbox,
            writing,
            Cleaning(database.engine, keep=timedelta(days=settings.desk_keep_days)),
            events,
            mail,
            answers,
        ),
        routers=(router,),
        title="Tapewire desk",
        description=DESCRIPTION,
    )
    app.state.verifier = verifier
    say_unavailable(app)
    return app
