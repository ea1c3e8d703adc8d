"""The age of what waits grows by itself, also when nobody can look any more."""

from datetime import UTC, datetime, timedelta

from tapewire.service import telemetry
from tapewire.service.backlog import Backlog

T0 = datetime(2026, 3, 2, tzinfo=UTC)


def shown() -> dict[str, float]:
    text = telemetry.exposition(None)[0].decode()
    samples = (line.split() for line in text.splitlines() if line.startswith("tapewire_outbox"))
    return {name: float(value) for name, value in samples}


def test_the_age_grows_without_another_look_and_ends_with_the_backlog():
    telemetry.install("test")
    before = shown()
    now = T0
    backlog = Backlog(now=lambda: now)
    assert shown() == {"tapewire_outbox_depth": 0, "tapewire_outbox_oldest_age_seconds": 0}
    backlog.found(3, T0 - timedelta(seconds=5))
    now = T0 + timedelta(seconds=40)
    assert shown() == {"tapewire_outbox_depth": 3, "tapewire_outbox_oldest_age_seconds": 45}
    now = T0 - timedelta(hours=1)  # the clock was put back
    assert shown()["tapewire_outbox_oldest_age_seconds"] == 0
    backlog.found(0, None)
    assert shown() == {"tapewire_outbox_depth": 0, "tapewire_outbox_oldest_age_seconds": 0}
    backlog.close()
    assert shown() == before
