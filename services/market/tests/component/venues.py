"""Local servers that speak as the venues' documentation says; its examples are the messages."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

Script = Callable[[ServerConnection], Awaitable[None]]

COINBASE = json.loads("""
{"channel": "ticker", "client_id": "", "timestamp": "2023-02-09T20:30:37.167359596Z",
 "sequence_num": 0, "events": [{"type": "snapshot", "tickers": [{"type": "ticker",
 "product_id": "BTC-USD", "price": "21932.98", "volume_24_h": "16038.28770938",
 "low_24_h": "21835.29", "high_24_h": "23011.18", "low_52_w": "15460", "high_52_w": "48240",
 "price_percent_chg_24_h": "-4.15775596190603", "best_bid": "21931.98",
 "best_bid_quantity": "8000.21", "best_ask": "21933.98", "best_ask_quantity": "8038.07770938"}]}]}
""")
HEARTBEAT = json.loads("""
{"channel": "heartbeats", "client_id": "", "timestamp": "2023-06-23T20:31:26.122969572Z",
 "sequence_num": 0, "events": [{"current_time": "2023-06-23 20:31:56.121961769 +0000 UTC",
 "heartbeat_counter": 3049}]}
""")
BINANCE = json.loads("""
{"e": "24hrTicker", "E": 1672515782136, "s": "BNBBTC", "p": "0.0015", "P": "250.00",
 "w": "0.0018", "x": "0.0009", "c": "0.0025", "Q": "10", "b": "0.0024", "B": "10", "a": "0.0026",
 "A": "100", "o": "0.0010", "h": "0.0025", "l": "0.0010", "v": "10000", "q": "18", "O": 0,
 "C": 86400000, "F": 0, "L": 18150, "n": 18151}
""")
BOOK = json.loads("""
{"u": 400900217, "s": "BNBUSDT", "b": "25.35190000", "B": "31.21000000", "a": "25.36520000",
 "A": "40.66000000"}
""")
TRADE = json.loads("""
{"T": "t", "i": 96921, "S": "AAPL", "x": "D", "p": 126.55, "s": 1,
 "t": "2021-02-22T15:51:44.208Z", "c": ["@", "I"], "z": "C"}
""")
QUOTE = json.loads("""
{"T": "q", "S": "AMD", "bx": "U", "bp": 87.66, "bs": 1, "ax": "X", "ap": 87.68, "as": 4,
 "t": "2021-02-22T15:51:45.335689322Z", "c": ["R"], "z": "C"}
""")
BAR = json.loads("""
{"T": "b", "S": "SPY", "o": 388.985, "h": 389.13, "l": 388.975, "c": 389.12, "v": 49378,
 "n": 461, "vw": 389.062639, "t": "2021-02-22T19:15:00Z"}
""")
T0 = datetime.fromisoformat("2023-02-09T20:30:37Z")


@dataclass
class Server:
    """Plays one script per connection, the last one again and again."""

    url: str = ""
    connections: int = 0


@asynccontextmanager
async def served(*scripts: Script) -> AsyncIterator[Server]:
    server = Server()

    async def play(socket: ServerConnection) -> None:
        script = scripts[min(server.connections, len(scripts) - 1)]
        server.connections += 1
        await script(socket)

    async with serve(play, "127.0.0.1", 0) as listening:
        server.url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        yield server


async def silence(socket: ServerConnection) -> None:
    await socket.wait_closed()


class Coinbase:
    """BTC-USD on Coinbase, as a server."""

    name, symbol = "coinbase", "BTC-USD"

    def settings(self, url: str, **more: Any) -> dict[str, Any]:
        return {"market_coinbase_url": url, "market_coinbase_symbols": (self.symbol,)} | more

    async def greet(self, socket: ServerConnection) -> None:
        assert json.loads(await socket.recv())["channel"] == "heartbeats"
        asked = json.loads(await socket.recv())
        await socket.send(json.dumps(HEARTBEAT))
        self.number = 1
        acknowledged = {"subscriptions": {"ticker": asked["product_ids"]}}
        await socket.send(
            json.dumps(HEARTBEAT | {"channel": "subscriptions", "sequence_num": 1}).replace(
                json.dumps(HEARTBEAT["events"]), json.dumps([acknowledged])
            )
        )

    def tick(self, price: str, second: int) -> str:
        self.number += 1
        at = (T0 + timedelta(seconds=second)).isoformat()
        ticker = COINBASE["events"][0]["tickers"][0] | {"price": price}
        ticker |= {"best_bid": price, "best_ask": price}
        events = [{"type": "update", "tickers": [ticker]}]
        return json.dumps(
            COINBASE | {"sequence_num": self.number, "timestamp": at, "events": events}
        )


class Binance:
    """BTCUSDT on Binance, as a server."""

    name, symbol = "binance", "BTC-USD"

    def settings(self, url: str, **more: Any) -> dict[str, Any]:
        return {"market_binance_url": url, "market_binance_symbols": (self.symbol,)} | more

    async def greet(self, socket: ServerConnection) -> None:
        asked = json.loads(await socket.recv())
        assert asked["params"] == ["btcusdt@ticker", "btcusdt@bookTicker"]
        await socket.send(json.dumps({"result": None, "id": asked["id"]}))

    def tick(self, price: str, second: int) -> str:
        at = int((T0 + timedelta(seconds=second)).timestamp() * 1000)
        data = BINANCE | {"s": "BTCUSDT", "E": at, "c": price, "b": price, "a": price}
        return json.dumps({"stream": "btcusdt@ticker", "data": data})


class Alpaca:
    """AAPL at Alpaca, as a server."""

    name, symbol = "alpaca", "AAPL"

    def settings(self, url: str, **more: Any) -> dict[str, Any]:
        symbols = {"market_alpaca_url": url, "market_alpaca_symbols": (self.symbol,)}
        key = {"market_alpaca_key_id": "PK1", "market_alpaca_secret": "hush-hush"}
        return symbols | key | more

    async def greet(self, socket: ServerConnection) -> None:
        await socket.send('[{"T":"success","msg":"connected"}]')
        assert json.loads(await socket.recv()) == {
            "action": "auth",
            "key": "PK1",
            "secret": "hush-hush",
        }
        await socket.send('[{"T":"success","msg":"authenticated"}]')
        asked = json.loads(await socket.recv())
        assert asked["action"] == "subscribe"
        await socket.send(json.dumps([{"T": "subscription", "trades": asked["trades"]}]))

    def tick(self, price: str, second: int) -> str:
        at = (T0 + timedelta(seconds=second)).isoformat()
        return json.dumps([TRADE | {"t": at, "p": "PRICE"}]).replace('"PRICE"', price)


VENUES = (Coinbase, Binance, Alpaca)


def tells(venue: Any, *prices: str, then: Script = silence, first: int = 0) -> Script:
    """Greet, tell prices a second apart, and go on with ``then``."""

    async def script(socket: ServerConnection) -> None:
        await venue.greet(socket)
        for n, price in enumerate(prices):
            await socket.send(venue.tick(price, first + n))
        await then(socket)

    return script


async def until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(60):  # many tests may share two cores
        while not done():
            await asyncio.sleep(0.005)
