"""Requests for a connection that another edge has, passed on over ``tw.relay``.

    -.<key>     to the edge of that key; JSON, with ``reply_to``

No proxy has to know which edge has which connection. An edge that is gone is noticed at once: the
broker returns what nobody is bound for.
"""

import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from aiormq.abc import DeliveredMessage

from tapewire.broker import BrokerError, Caller, Publisher
from tapewire.broker.topology import RELAY, Binding
from tapewire.contracts import new_id
from tapewire.edge.fallback.poll import WAIT_S
from tapewire.edge.live.node import Node
from tapewire.edge.runtime.tasks import Tasks

log = logging.getLogger(__name__)

PREFIX: Final = "-."  # no user's: the word `-` is reserved (tapewire.contracts.ids)
DEADLINE_S: Final = WAIT_S + 5.0  # a poll, and the way there and back

What: TypeAlias = Literal["poll", "post", "leave"]


class Asked(NamedTuple):
    """What a request wants of a connection.

    Attributes:
        number: the newest message received: a poll's cursor, or what a post proves.
        text: client messages, one a line.
        subject: of the request's token.
    """

    what: What
    connection: str
    number: int = 0
    text: str = ""
    subject: str = ""


class Answer(NamedTuple):
    """An HTTP status and a JSON body, empty or not."""

    status: int
    body: bytes


class Forwarding:
    """Component: this edge's address among the edges.

    Args:
        on_asked: answers what other edges pass on; set by whoever has the connections.
    """

    name = "forwarding"

    def __init__(self, caller: Caller, publisher: Publisher, node: Node, tasks: Tasks) -> None:
        self.key = secrets.token_hex(4)
        self.on_asked: Callable[[Asked], Awaitable[Answer]] | None = None
        self._caller = caller
        self._publisher = publisher
        self._node = node
        self._tasks = tasks

    async def start(self) -> None:
        """Have the edge's queue take what is for this edge, as soon as there is one."""
        self._tasks.spawn(self._node.bind([Binding(RELAY, PREFIX + self.key)]), "bind forwarding")

    async def drain(self) -> None:
        """Nothing to finish: connections are closed by the gate."""

    async def stop(self) -> None:
        """Nothing to give back: the binding goes with the edge's queue."""

    def health(self) -> str | None:
        """Return None: the edge's queue speaks for it."""
        return None

    async def ask(self, key: str, asked: Asked) -> Answer | None:
        """Return the answer of the edge called ``key``; None: it is gone, or out of reach."""
        if not key.isalnum() or len(key) > 32:
            return None
        body = json.dumps(asked._asdict()).encode()
        try:
            answer = await self._caller.call(
                PREFIX + key, body, exchange=RELAY, timeout_s=DEADLINE_S
            )
        except BrokerError as error:
            log.info("not forwarded: %s", error)
            return None
        status, _, rest = answer.partition(b" ")
        return Answer(int(status), rest)

    def take(self, message: DeliveredMessage) -> None:
        """Answer what another edge passed on; must not wait."""
        self._tasks.spawn(self._answer(message), "forwarded request")

    async def _answer(self, message: DeliveredMessage) -> None:
        properties = message.header.properties
        if self.on_asked is None or not properties.reply_to:
            return
        found = cast(dict[str, Any], json.loads(message.body))
        status, body = await self.on_asked(Asked(**found))
        try:
            await self._publisher.publish(
                "",
                properties.reply_to,
                b"%d %b" % (status, body),
                type="reply",
                message_id=new_id(),
                correlation_id=properties.correlation_id,
                persistent=False,
            )
        except BrokerError as error:
            log.info("answer not forwarded: %s", error)
