"""A session loses money: warning, critical, emergency, a stop order; each once, whatever dies."""

import asyncio
import json
from contextlib import asynccontextmanager

import aio_pika
import pytest
from plain import connected, publish

LOSSES = (100, 760, 770, 910, 920, 1010, 1020, 1200)  # of 1000; two marks confirm a level


class Executor:
    """A trading platform on the bus: hears stop orders and answers them."""

    def __init__(self, ingest: aio_pika.abc.AbstractExchange) -> None:
        self.orders: list[dict] = []
        self._ingest = ingest

    async def hear(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        async with message.process():
            order = json.loads(message.body)
            self.orders.append(order)
            for state in ("acknowledged", "completed"):
                word = {
                    "type": "emergency_stop_acknowledged",
                    "userId": order["userId"],
                    "sessionId": order["sessionId"],
                    "stopId": order["stopId"],
                    "state": state,
                    "executor": "exec-1",
                }
                body = aio_pika.Message(json.dumps(word).encode())
                await self._ingest.publish(body, routing_key="any")


@asynccontextmanager
async def executor(fleet, user):
    connection = await aio_pika.connect(fleet.amqp_url("executor"))
    async with connection:
        channel = await connection.channel()
        ingest = await channel.get_exchange("tw.ingest", ensure=False)
        listening = Executor(ingest)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind("tw.events", f"{user}.*.command.emergency_stop")
        await queue.consume(listening.hear)
        yield listening


def started(user):
    return {
        "type": "session_started",
        "userId": user,
        "sessionId": f"s-{user}",
        "algorithmId": "momentum-1",
        "symbols": ["SPY"],
        "initialEquity": 100_000,
        "lossLimit": 1000,
    }


def mark(user, loss):
    return {
        "type": "session_status",
        "userId": user,
        "sessionId": f"s-{user}",
        "status": "active",
        "data": {
            "currentPnL": -loss,
            "totalTrades": 3,
            "lossLimitUtilization": loss / 10,
            "timeElapsed": 60,
            "performanceScore": 50,
        },
    }


@pytest.mark.parametrize("killed", [(), ("risk",), ("risk", "ingest", "desk")], ids=str)
async def test_each_level_is_told_once_and_the_session_is_stopped(fleet, user, killed):
    async with connected(fleet, user) as alice, executor(fleet, user) as exec_1:
        await publish(fleet, started(user))
        for number, loss in enumerate(LOSSES):
            await publish_when_possible(fleet, mark(user, loss) | {"id": f"{user}-{number}"})
            if number == 3:
                await asyncio.gather(*(fleet.kill(node) for node in killed))
        await alice.until("emergency_stop")
        levels = [
            message["alertLevel"]
            for message in await alice.until("risk_alert", 3)
            if message["alertType"] == "loss_limit"
        ]
        assert levels == ["warning", "critical", "emergency"]
        await alice.ack(*alice.all("risk_alert")[1:], *alice.all("emergency_stop"))
        await publish_when_possible(fleet, mark(user, 1300))
        await alice.fence()
        assert len(alice.all("emergency_stop")) == 1
        assert [order["mode"] for order in exec_1.orders] == ["halt"]
        assert exec_1.orders[0]["stopId"] == alice.all("emergency_stop")[0]["stopId"]
    await fleet.until_ready(*killed)
    async with connected(fleet, user, "edge-2") as alice:
        assert alice.heard[0]["recovered"]["critical"] == 0


async def publish_when_possible(fleet, event):
    """Publish; sent again while ingest is away, as a producer would (its id is taken once)."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await publish(fleet, event)
            except (OSError, AssertionError, KeyError):
                await asyncio.sleep(0.1)
            except Exception as error:
                if type(error).__module__.split(".")[0] not in ("httpx", "httpcore"):
                    raise
                await asyncio.sleep(0.1)
