"""The composition root: risk's parts and how they hang together."""

from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI

from tapewire.auth import AuthSettings, Revoking, Verifier
from tapewire.broker import Link, Publisher, Role
from tapewire.risk.api import routes
from tapewire.risk.engine import Engine
from tapewire.risk.handlers import shard_consumers
from tapewire.risk.outbox import Outbox
from tapewire.risk.outlook import Outlook
from tapewire.risk.repeats import Repeats
from tapewire.risk.session import Limits
from tapewire.risk.settings import RiskSettings
from tapewire.risk.stopping import Stopping, StopPolicy
from tapewire.risk.store import Store
from tapewire.risk.ticker import Ticker
from tapewire.risk.watch import Watch
from tapewire.service import create_app
from tapewire.service.database import Database, engine_from
from tapewire.service.unavailable import say_unavailable

MIGRATIONS = Path(__file__).parent / "migrations"


def build(settings: RiskSettings, auth: AuthSettings) -> FastAPI:
    """Return the application.

    | in | handler | prefetch |
    |---|---|---|
    | queues `risk.shard.<n>` | `handlers.Handler`, what waits at once | 128 |
    | the clock, every `TAPEWIRE_RISK_TICK_S` | `Ticker.look` | |
    | HTTP `/v1/…` | `api.routes` | |
    """
    database = Database(engine_from(settings, "risk"), MIGRATIONS)
    store = Store(database.engine)
    publishing = Link(settings.amqp_url, Role.PUBLISH, name="risk")
    consuming = Link(settings.amqp_url, Role.CONSUME, name="risk")
    publisher = Publisher(publishing)
    repeats = Repeats(
        settings.risk_repeat_critical_s, settings.risk_repeat_emergency_s, settings.risk_repeat_most
    )
    watch = Watch(
        Limits(settings.risk_loss_limit, settings.risk_time_limit_s),
        settings.risk_stale_after_s,
        repeats,
    )
    policy = StopPolicy(
        settings.risk_stop_mode, settings.risk_stop_rules, settings.risk_stop_ack_deadline_s
    )
    stopping = Stopping(store, policy, on_outgoing=lambda: outbox.wake())
    outbox = Outbox(store, publishing, publisher, stopping)
    engine = Engine(store, watch, stopping, on_outgoing=outbox.wake)
    consumers = shard_consumers(
        *(consuming, engine, stopping, Outlook(watch)), shards=settings.risk_shards
    )
    ticker = Ticker(
        store,
        engine,
        stopping,
        hears=[consumer.health for consumer in consumers],
        every_s=settings.risk_tick_s,
        patience_s=settings.risk_stale_after_s,
        listen_s=repeats.listen_s,
        retention=timedelta(days=settings.risk_retention_days),
    )
    revoking = Revoking(consuming)
    verifier = Verifier.from_settings(auth, revoking)
    app = create_app(
        settings,
        service="risk",
        components=[
            *(database, verifier, publishing, consuming, revoking, outbox, ticker),
            *consumers,
        ],
        routers=[routes(store, engine, stopping, watch)],
        title="Tapewire risk",
        description="Limits, open alerts and emergency stops.",
    )
    app.state.verifier = verifier
    say_unavailable(app)
    return app
