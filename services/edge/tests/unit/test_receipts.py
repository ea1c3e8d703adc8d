"""What risk is told of acknowledgements, and of which."""

import json

from tapewire.edge.connection.effects import Parcel, Settle
from tapewire.edge.mailbox.receipts import alarms_of
from tapewire.edge.transport.frames import Message

from .trays import opened, parcel


def alert(identifier: str, session: str, **fields: object) -> Parcel:
    owner = {"userId": "alice", "sessionId": session}
    body = json.dumps({"type": "risk_alert", "id": identifier} | owner | fields).encode()
    return Parcel(identifier, Message(body), "tw.alerts", "alice.s.x.critical", "risk_alert")


def test_only_alerts_with_an_episode_are_told_of_by_session_and_in_order():
    parcels = [
        alert("a-1", "s-1", episodeId="e-1"),
        alert("a-2", "s-2", episodeId="e-2"),
        alert("b-1", "s-1"),  # a producer's own
        alert("a-3", "s-1", episodeId="e-1", repeat=1),
        alert("c-1", "s-1", episodeId=None),
        Parcel("d-1", Message(b"no JSON"), "tw.alerts", "alice.s.x.critical", "risk_alert"),
    ]
    assert alarms_of(parcels) == {("alice", "s-1"): ["a-1", "a-3"], ("alice", "s-2"): ["a-2"]}


def acked(effects) -> list[str]:
    return [e.acked.id for e in effects if isinstance(e, Settle) and e.acked is not None]


def test_a_settlement_says_what_was_acknowledged_and_nothing_else_says_so():
    tray = opened()
    tray.join("a", 0)
    shown = tray.deliver(parcel(1), 1, 0) + tray.deliver(parcel(2), 2, 0)
    assert acked(shown) == []
    assert acked(tray.ack(["1"], 1, by="a")) == ["1"]
    assert acked(tray.ack(["1"], 2, by="a")) == []
    assert acked(tray.deliver(parcel(1), 3, 3)) == ["1"]  # its holder died before it settled
    assert acked([*tray.requeue(9999), *tray.give_back()]) == []
