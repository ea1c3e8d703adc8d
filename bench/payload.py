"""Messages of one size for every peer: 200 bytes, one mark, the time of sending."""

import json
import time
from typing import Final

BYTES: Final = 200


def stamp() -> str:
    """Return the mark and the time, microseconds of the monotonic clock, 16 digits."""
    return f"^{time.monotonic_ns() // 1000:016d}"


def status(size: int = BYTES) -> bytes:
    """Return a session's status; class live, so that no tray is between producer and socket."""
    return _filled({"type": "session_status", "sessionId": "s-1", "at": stamp(), "fill": ""}, size)


def quote(symbol: str, size: int = BYTES) -> bytes:
    """Return one line of a market bundle."""
    return _filled({"type": "market_data", "symbol": symbol, "at": stamp(), "fill": ""}, size)


def _filled(message: dict[str, str], size: int) -> bytes:
    bare = json.dumps(message, separators=(",", ":")).encode()
    return bare[:-2] + b"x" * (size - len(bare)) + bare[-2:]
