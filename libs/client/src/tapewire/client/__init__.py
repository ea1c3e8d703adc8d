"""The Python SDK: a WebSocket client that loses no alert, and a publisher that says the truth."""

from tapewire.client.credentials import Token
from tapewire.client.errors import (
    ClientError,
    ConnectionStopped,
    GaveUp,
    NotConfirmed,
    NotConnected,
    NotPermitted,
    Replaced,
    RequestLost,
    RequestRefused,
    TokenRefused,
)
from tapewire.client.memory import CallbackStore, DedupStore, FileStore
from tapewire.client.message import Message
from tapewire.client.pacing import Backoff
from tapewire.client.publisher import EventPublisher
from tapewire.client.session_emitters import SessionEmitters
from tapewire.client.states import TRANSITIONS, State, StateChange, Trigger
from tapewire.client.websocket import WebSocketClient
from tapewire.contracts import InvalidEvent

__all__ = [
    "TRANSITIONS",
    "Backoff",
    "CallbackStore",
    "ClientError",
    "ConnectionStopped",
    "DedupStore",
    "EventPublisher",
    "FileStore",
    "GaveUp",
    "InvalidEvent",
    "Message",
    "NotConfirmed",
    "NotConnected",
    "NotPermitted",
    "Replaced",
    "RequestLost",
    "RequestRefused",
    "SessionEmitters",
    "State",
    "StateChange",
    "Token",
    "TokenRefused",
    "Trigger",
    "WebSocketClient",
]
