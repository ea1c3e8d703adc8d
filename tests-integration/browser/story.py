"""A morning at a desk, told to a fleet: sessions, decisions, notices, alerts."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import httpx
from engines import Fleet
from plain import Message, publish

from browser.desk import started, status

MINUTES = 8  # of P&L before the page is opened

SESSIONS = {
    "momentum-17": {"algorithmId": "momentum-1", "symbols": ["SPY", "QQQ"], "lossLimit": 1500},
    "meanrev-04": {"algorithmId": "mean-reversion-2", "symbols": ["NVDA"], "lossLimit": 1000},
}
TRADES = {"momentum-17": (41, 78), "meanrev-04": (18, 44), "overnight-02": (9, 66)}  # and score
GOALS = {"momentum-17": 842.1, "meanrev-04": -687.4}  # where the P&L stands when the page opens

DECISIONS = (
    ("hold", "SPY", 0.55, "Spread wider than the edge: the reason to wait still stands"),
    ("buy", "SPY", 0.83, "Momentum turned positive on three horizons, volume above its average"),
    ("sell", "NVDA", 0.71, "2.1 standard deviations above the mean of 20 minutes"),
    ("hold", "NVDA", 0.5, "Position is as large as the risk budget allows"),
    ("close_position", "SPY", 0.64, "Held for 15 minutes, target reached"),
    ("buy", "QQQ", 0.77, "Breadth confirms: 71 % of the index above its opening price"),
    ("sell", "SPY", 0.68, "Momentum fades on the shortest horizon"),
)
NOTICES = (
    ("info", "Maintenance on Saturday", "The gateway is away for ten minutes from 08:00 UTC."),
    ("info", "New symbol", "NVDA may be traded by mean-reversion-2 from today."),
    ("warning", "Slow venue", "Orders at the second venue take longer than 500 ms."),
)


class Story:
    """Tells a fleet what happens to one user."""

    def __init__(self, fleet: Fleet, user: str) -> None:
        self._fleet = fleet
        self._user = user
        self._random = random.Random(17)  # the same morning every time
        self._pnl = dict(GOALS)

    async def begin(self) -> None:
        """Tell what was before the page is opened."""
        now = datetime.now(UTC)
        began = now - timedelta(minutes=MINUTES)
        for name, fields in SESSIONS.items():
            await publish(
                self._fleet, self._at(began, started(self._user, sessionId=name, **fields))
            )
            curve = self._curve(GOALS[name], MINUTES * 30)
            marks = [
                self._status(name, pnl, began + timedelta(seconds=2 * step))
                for step, pnl in enumerate(curve)
            ]
            for begin in range(0, len(marks), 100):
                await publish(self._fleet, *marks[begin : begin + 100])
        yesterday = started(
            self._user,
            sessionId="overnight-02",
            lossLimit=500,
            algorithmId="carry-3",
            symbols=["QQQ"],
        )
        end = {"type": "session_completed", "userId": self._user, "sessionId": "overnight-02"}
        await publish(
            self._fleet,
            self._at(began - timedelta(hours=5), yesterday),
            self._status("overnight-02", 312.4, began - timedelta(hours=1)),
            self._at(began - timedelta(minutes=50), end | {"status": "completed"}),
        )
        prices = await self._prices()
        for number, (action, symbol, confidence, reason) in enumerate(DECISIONS):
            session = "meanrev-04" if symbol == "NVDA" else "momentum-17"
            decision = {
                "type": "algorithm_decision",
                "userId": self._user,
                "sessionId": session,
                "algorithmId": SESSIONS[session]["algorithmId"],
                "decision": action,
                "reasoning": reason,
                "confidence": confidence,
                "marketData": {"symbol": symbol, "price": prices[symbol]},
            }
            at = now - timedelta(seconds=6 * (len(DECISIONS) - number))
            await publish(self._fleet, self._at(at, decision))
        for number, (level, title, text) in enumerate(NOTICES):
            notice = {"type": "system_notification", "userId": self._user, "category": "system"}
            at = now - timedelta(minutes=30 - 7 * number)
            words = {"level": level, "title": title, "message": text}
            await publish(self._fleet, self._at(at, notice | words))
        milestone = {
            "type": "performance_milestone",
            "userId": self._user,
            "sessionId": "momentum-17",
            "milestone": "profit_750",
            "value": 750,
            "message": "Profit of 750.00 reached",
        }
        await publish(self._fleet, self._at(now - timedelta(minutes=2), milestone))

    async def go_on(self) -> None:
        """Tell what goes on, once a second, until cancelled."""
        while True:
            now = datetime.now(UTC)
            for name in SESSIONS:
                back = (GOALS[name] - self._pnl[name]) / 20  # it must not reach an alarm by itself
                self._pnl[name] += self._random.gauss(back, 4)
            await publish(self._fleet, *(self._status(n, self._pnl[n], now) for n in SESSIONS))
            await asyncio.sleep(1)

    async def alert(self, level: str, **fields: object) -> None:
        """Raise an alert of the losing session."""
        used = {"warning": 76.2, "critical": 91.3, "emergency": 100.8}[level]
        event = {
            "type": "risk_alert",
            "userId": self._user,
            "sessionId": "meanrev-04",
            "alertLevel": level,
            "alertType": "loss_limit",
            "message": f"Loss of {used * 10:,.2f} is {used} % of the limit 1,000.00",
            "currentValue": used,
            "threshold": {"warning": 75, "critical": 90, "emergency": 100}[level],
        }
        await publish(self._fleet, event | fields)

    def _curve(self, goal: float, steps: int) -> list[float]:
        """Return a random walk from 0 to `goal`."""
        walk = [0.0]
        for _ in range(steps - 1):
            walk.append(walk[-1] + self._random.gauss(0, abs(goal) / 80))
        return [value + (goal - walk[-1]) * n / (steps - 1) for n, value in enumerate(walk)]

    def _status(self, name: str, pnl: float, at: datetime) -> Message:
        limit = SESSIONS.get(name, {"lossLimit": 500})["lossLimit"]
        told = status(self._user, round(pnl, 2), sessionId=name)
        trades, score = TRADES[name]
        told["data"] |= {
            "totalTrades": trades,
            "performanceScore": score,
            "lossLimitUtilization": round(max(0.0, -pnl / limit * 100), 1),
            "timeElapsed": 60 * MINUTES + 5000,
            "equity": round(50_000 + pnl, 2),
        }
        return self._at(at, told)

    def _at(self, at: datetime, event: Message) -> Message:
        return event | {"timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}

    async def _prices(self) -> dict[str, float]:
        bearer = {"Authorization": f"Bearer {self._fleet.token(self._user)}"}
        async with httpx.AsyncClient(headers=bearer, trust_env=False) as http:
            quotes = (await http.get(f"{self._fleet.url('market')}/v1/quotes")).json()
        return {quote["symbol"]: quote["last"] for quote in quotes}
