"""Print a user's alerts (``watch_alerts.py [user]``); printing one acknowledges it."""

import asyncio
import sys

from addresses import Addresses

from tapewire.client import WebSocketClient


async def main(user: str) -> None:
    where = Addresses.find()
    async with WebSocketClient(where.need("edges"), token=where.token_for(user)) as client:
        async for alert in client.messages("risk_alert", "emergency_stop", "system_notification"):
            print(
                alert["timestamp"],
                alert.get("alertLevel", alert.type),
                alert.get("message", alert.get("reason")),
            )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2] or ["alice"]))
