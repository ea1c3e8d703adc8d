"""Alerts that a service raises, not a producer: sessions that lose money until risk says so."""

from faults.audit import Sent
from faults.publishers import Publisher
from tapewire.client import NotConfirmed
from tapewire.risk.alerts import NO_INSTRUMENT, make_id

LIMIT = 100
LOSSES = (91, 92)  # two marks past 90 %: one critical alert, and nothing before it


class Sessions(Publisher):
    """Publishes a session for each alert, whose loss limit makes risk raise exactly one.

    It goes through risk's shard, its database and its outbox; its id follows from what happened, so
    it is known before. Sessions are judged side by side: each is a publisher of its own to the
    audit, which then asks for no order among them.
    """

    async def publish(self, user: str) -> str:
        """Publish a session's events until each is confirmed; return the id of its alert."""
        number = self._book.number(self.name, user)
        session = f"{self.name}.{user}.{number}"
        id_ = make_id(user, session, "loss_limit", NO_INSTRUMENT, 1, "critical", 1)
        self._book.sending(Sent(id_, user, session, 0, None))
        await self._say("session_started", user, session, lossLimit=LIMIT)
        for loss in LOSSES:
            data = {"currentPnL": -loss}
            await self._say("session_status", user, session, mark=loss, data=data)
        self._book.confirmed(id_)
        await self._say("session_completed", user, session)
        return id_

    async def _say(self, kind: str, user: str, session: str, *, mark: int = 0, **fields) -> None:
        event = {
            "type": kind,
            "id": f"{session}.{kind[8:]}{mark or ''}",
            "userId": user,
            "sessionId": session,
            **fields,
        }
        while True:
            try:
                await self._events.publish(event)
                return
            except NotConfirmed:
                self.refused += 1  # the same id again: it counts once
