"""What the edge is told from outside."""

import os
import secrets
import socket
from typing import Literal

from pydantic import Field

from tapewire.edge.connection.leaving import SHARE_FOR_CLOSING
from tapewire.edge.connection.limits import Limits
from tapewire.service import ServiceSettings


class EdgeSettings(ServiceSettings):
    """Settings of one edge process; ``edge_x`` is read from ``TAPEWIRE_EDGE_X``."""

    http_port: int = Field(default=8081, ge=0, le=65535)
    inbox_queue_type: Literal["quorum", "classic"] = "quorum"

    edge_node: str = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}",
        description="Name of this process among the edges; two must never share one.",
    )
    edge_workers: int = Field(
        default=1,
        ge=1,
        description="Processes behind the port, each a node of its own; `--workers` goes before.",
    )
    edge_heartbeat_interval_s: float = Field(default=30.0, gt=0)
    edge_heartbeat_grace_s: float = Field(default=10.0, gt=0)
    edge_auth_deadline_s: float = Field(default=10.0, gt=0)
    edge_attach_deadline_s: float = Field(default=10.0, gt=0)
    edge_command_deadline_s: float = Field(default=5.0, gt=0)
    edge_snapshot_deadline_s: float = Field(default=1.0, gt=0)
    edge_ack_deadline_s: float = Field(default=30.0, gt=0)
    edge_requeue_after_s: float = Field(default=600.0, gt=0)
    edge_poll_s: float = Field(
        default=25.0,
        gt=0,
        le=28,
        description="How long a poll waits for something to tell.",
    )
    edge_tick_s: float = Field(default=0.25, gt=0)
    drain_timeout_s: float = Field(
        default=40.0,
        gt=0,
        description="For a whole drain: three quarters for the closes, the rest to give back.",
    )
    edge_drain_per_s: float = Field(
        default=200.0,
        gt=0,
        description="Connections that a drain closes in a second: what another edge takes in.",
    )
    edge_drain_window_s: float = Field(
        default=30.0,
        ge=0,
        description="By when a drain has closed them all, faster than that pace if need be.",
    )
    edge_amqp_heartbeat_s: int = Field(default=10, ge=1)
    edge_attach_concurrency: int = Field(default=32, ge=1)

    edge_messages_per_s: int = Field(default=20, ge=1)
    edge_channels: int = Field(default=256, ge=1)
    edge_message_bytes: int = Field(default=65_536, ge=1024)
    edge_connections: int = Field(default=20_000, ge=1)
    edge_connections_per_user: int = Field(default=20, ge=1)
    edge_handshakes_per_s: float = Field(
        default=200.0,
        gt=0,
        description="Of one address; connections from this machine are not counted.",
    )

    @property
    def drain_window_s(self) -> float:
        """By when a drain has closed every connection, so that what is left can be given back."""
        return min(self.edge_drain_window_s, SHARE_FOR_CLOSING * self.drain_timeout_s)

    @property
    def limits(self) -> Limits:
        """What clients may do."""
        return Limits(
            messages_per_s=self.edge_messages_per_s,
            channels=self.edge_channels,
            message_bytes=self.edge_message_bytes,
            connections=self.edge_connections,
            connections_per_user=self.edge_connections_per_user,
            handshakes_per_s=self.edge_handshakes_per_s,
        )
