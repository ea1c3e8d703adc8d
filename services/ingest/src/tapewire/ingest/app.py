"""Ingest, composed: what it consumes, what it serves, and what it works with."""

from fastapi import FastAPI

from tapewire.auth import AuthSettings, Revoking, Verifier
from tapewire.broker import Consumer, Link, Publisher, Role, topology
from tapewire.ingest import amqp, http
from tapewire.ingest.intake import Intake
from tapewire.ingest.openapi import describe_events
from tapewire.ingest.settings import IngestSettings
from tapewire.ingest.taken import Taken
from tapewire.service import create_app

DESCRIPTION = """\
The front door for producers. Publish events here, or to the AMQP exchange `tw.ingest`: the same
JSON, the same checks, the same promise.
"""


def build(settings: IngestSettings, auth: AuthSettings) -> FastAPI:
    """Return the application.

    | in | handler | prefetch, side by side |
    |---|---|---|
    | queue `ingest.inbox` | `AmqpDoor.handle` | 512, 256 |
    | `POST /v1/events` | `http.routes` | up to 1000 events each |
    """
    publishing = Link(settings.amqp_url, Role.PUBLISH, name="ingest")
    consuming = Link(settings.amqp_url, Role.CONSUME, name="ingest")
    publisher = Publisher(
        publishing,
        window=2 * settings.ingest_window,  # the other half is for answers and what is set aside
        deadline_s=settings.ingest_confirm_deadline_s,
    )
    intake = Intake(
        publisher,
        Taken(keep=settings.ingest_remember_ids, keep_s=settings.ingest_remember_s),
        window=settings.ingest_window,
    )
    door = amqp.AmqpDoor(intake, publisher)
    inbox = Consumer(
        consuming,
        topology.INGEST_INBOX,
        door.handle,
        prefetch=amqp.PREFETCH,
        concurrency=amqp.CONCURRENCY,
        also=topology.FLEET,
    )
    revoking = Revoking(consuming)
    verifier = Verifier.from_settings(auth, revoking)
    app = create_app(
        settings,
        service="ingest",
        components=(verifier, publishing, consuming, revoking, inbox),
        routers=(http.routes(intake, closed=inbox.health),),
        body_limit=settings.ingest_body_limit,
        title="Tapewire ingest",
        description=DESCRIPTION,
    )
    app.state.verifier = verifier
    describe_events(app)
    return app
