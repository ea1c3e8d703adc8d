"""Trays for tests of them, and what of their effects is looked at."""

from tapewire.edge.connection.effects import Kind, Parcel, Send, Settle
from tapewire.edge.mailbox.state import Event
from tapewire.edge.mailbox.tray import Tray
from tapewire.edge.transport.frames import Message


def parcel(identifier, *, redelivered=False):
    body = b'{"id":"%s"}' % str(identifier).encode()
    return Parcel(
        str(identifier), Message(body), "tw.alerts", "alice.-.x.critical", "", redelivered
    )


def opened(kind=Kind.INBOX, interested=lambda member, parcel: True):
    tray = Tray("inbox.alice", kind, interested)
    tray.apply(Event.ATTACHED)
    return tray


def told(tray, number, teller="edge-1.1", **more):
    return tray.copy(parcel(number), 0, teller=teller, number=number, **more)


def sends(effects):
    return [(e.member, e.parcel.id) for e in effects if isinstance(e, Send)]


def settles(effects):
    return [(e.tag, e.requeue) for e in effects if isinstance(e, Settle)]
