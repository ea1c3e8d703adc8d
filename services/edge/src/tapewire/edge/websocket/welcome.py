"""What a connection is told first: who it is, what waited for it, and what it is held to."""

from datetime import datetime

from tapewire.auth import Claims
from tapewire.contracts.frames import Limits as LimitsTold
from tapewire.contracts.frames import Recovered, Welcome
from tapewire.edge.connection.connection import Connection
from tapewire.edge.connection.limits import Limits
from tapewire.edge.mailbox.mailboxes import Arrival


def welcome(
    connection: Connection,
    claims: Claims,
    arrival: Arrival,
    limits: Limits,
    *,
    heartbeat_interval_s: float,
    now: datetime,
) -> Welcome:
    """Return the frame that ends a handshake; tray messages follow it."""
    return Welcome(
        connection_id=connection.id,
        user_id=claims.subject,
        client_id=connection.client_id,
        heartbeat_interval=heartbeat_interval_s,
        server_time=now.isoformat(timespec="milliseconds"),
        token_expires_in=max(0, int((claims.expires_at - now).total_seconds())),
        channels=list(connection.plans),
        recovered=Recovered(critical=arrival.critical, recent=arrival.recent, gap=arrival.gap),
        limits=LimitsTold(
            messages_per_second=limits.messages_per_s,
            channels=limits.channels,
            message_bytes=limits.message_bytes,
        ),
    )
