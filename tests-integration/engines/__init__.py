"""Ways to run a whole fleet for tests. The tests see a `Fleet` and do not know which it is.

| engine | broker | database | services |
|---|---|---|---|
| `process` | a private RabbitMQ node | SQLite | processes of this machine (`tapewire up`) |
| `containers` | RabbitMQ 4 | PostgreSQL 17 | images built here, `docker-compose.yml`, HAProxy |
"""

from pathlib import Path

from engines.fleet import EngineAbsent, Fleet

ENGINES = ("process", "containers")

__all__ = ["ENGINES", "EngineAbsent", "Fleet", "absence", "start"]


def absence(engine: str) -> str | None:
    """Why `engine` cannot run here, or None."""
    return _module(engine).absence()


def start(engine: str, directory: Path, *, replay: Path | None = None) -> Fleet:
    """Start a fleet of two edges and wait until all of it is ready; the caller closes it.

    Args:
        engine: one of `ENGINES`.
        directory: for what it keeps.
        replay: recorded prices that the market plays instead of simulated ones.
    """
    return _module(engine).start(directory, replay)


def _module(engine: str):
    import importlib

    return importlib.import_module(f"engines.{engine}")
