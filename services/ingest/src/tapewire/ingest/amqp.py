"""The door for AMQP producers: what arrives in `ingest.inbox`."""

import json
import logging
from datetime import UTC, datetime
from typing import Final

from opentelemetry.trace import SpanKind

from tapewire.broker import Delivery, NotConfirmed, Publisher, Settlement, topology
from tapewire.contracts import MAX_EVENT_BYTES, new_id
from tapewire.contracts.ids import MAX_ID_LENGTH
from tapewire.ingest.intake import Intake, Result, Status
from tapewire.ingest.judgement import Fit, judge
from tapewire.service import metrics, telemetry

log = logging.getLogger(__name__)

CONCURRENCY: Final = 256  # one confirm each: the publisher's default window
PREFETCH: Final = 2 * CONCURRENCY  # the next window is here when this one is confirmed

REPLY_PREFIXES: Final = ("amq.rabbitmq.reply-to.", "amq.gen-", "reply.")
"""Where answers may go: direct reply-to, queues that the broker named, and `reply.…`.

A producer may write to `tw.ingest` only; without this list it could have ingest write into any
queue there is, such as somebody's inbox.
"""


class AmqpDoor:
    """Handles deliveries of `ingest.inbox`: take, or set aside with the reason; answer; settle.

    Deliveries may be handled side by side: each is settled in its turn (`Consumer`), and events
    are published in the order in which the handlers start.
    """

    def __init__(self, intake: Intake, publisher: Publisher) -> None:
        self._intake = intake
        self._publisher = publisher

    async def handle(self, delivery: Delivery) -> Settlement:
        """Return what is to become of a delivery, once all that follows from it is confirmed."""
        with telemetry.span("ingest event", headers=delivery.headers, kind=SpanKind.CONSUMER):
            try:
                return await self._handle(delivery)
            except NotConfirmed as error:
                log.warning("event not set aside: %s", error)
                return Settlement.REQUEUE
            except Exception:  # one delivery that we cannot bear must not stop those behind it
                log.exception("event could not be handled; it goes to tw.dead")
                return Settlement.DEAD_LETTER

    async def _handle(self, delivery: Delivery) -> Settlement:
        judged = judge(
            delivery.body,
            now=lambda: datetime.now(UTC),
            make_id=new_id,
            own_id=delivery.message_id if 0 < len(delivery.message_id) <= MAX_ID_LENGTH else None,
        )
        result = await self._intake.take(judged)
        count(result.status, "amqp")
        if result.status is Status.UNCONFIRMED:
            log.warning("event not taken: %s", result.errors[0].message)
            return Settlement.REQUEUE
        if not isinstance(judged, Fit):
            await self._set_aside(delivery, result)
        if delivery.reply_to:
            await self._answer(delivery.reply_to, delivery, result)
        return Settlement.ACK

    async def _set_aside(self, delivery: Delivery, result: Result) -> None:
        """Publish the body to `tw.rejected` with what is wrong with it."""
        errors = [{"field": e.field, "message": e.message} for e in result.errors]
        headers: dict[str, object] = {
            "x-reason": "invalid_event",
            "x-errors": json.dumps(errors),
            "x-received-at": datetime.now(UTC).isoformat(),
        }
        if delivery.app_id:
            headers["x-producer"] = delivery.app_id
        body = delivery.body
        if len(body) > MAX_EVENT_BYTES:
            headers |= {"x-reason": "too_large", "x-size": len(body)}
            body = body[:MAX_EVENT_BYTES]
        await self._publisher.publish(
            topology.REJECTED,
            delivery.routing_key,
            body,
            type=delivery.type or "rejected",
            message_id=new_id(),
            headers=headers,
        )

    async def _answer(self, reply_to: str, delivery: Delivery, result: Result) -> None:
        """Tell the producer; if it is not there any more, that is its own affair."""
        if not reply_to.startswith(REPLY_PREFIXES):
            log.warning("answer not sent: reply_to must begin with %s", " or ".join(REPLY_PREFIXES))
            return
        try:
            await self._publisher.publish(
                "",
                reply_to,
                json.dumps(result.as_json()).encode(),
                type="ingest_result",
                message_id=new_id(),
                correlation_id=delivery.correlation_id or delivery.message_id or None,
                persistent=False,
            )
        except NotConfirmed as error:
            log.info("answer not sent: %s", error)


def count(outcome: Status, source: str, events: int = 1) -> None:
    """Count events by what became of them."""
    metrics.counter(metrics.INGEST_EVENTS).add(events, {"outcome": outcome, "source": source})
