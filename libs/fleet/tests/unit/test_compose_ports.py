"""Under Compose the broker is where it was recorded, also after its container started again."""

from pathlib import Path

import pytest

from tapewire.fleet import compose

COMPOSE = Path(__file__).parents[4] / "docker-compose.yml"


def test_broker_gets_ports_that_compose_publishes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TAPEWIRE_AMQP_PORT", "TAPEWIRE_MANAGEMENT_PORT"):
        monkeypatch.delenv(name, raising=False)
    ports = compose._broker_ports()
    text = COMPOSE.read_text(encoding="utf-8")
    assert len(set(ports.values())) == 2
    assert all(f"127.0.0.1:${{{name}:-}}:" in text and int(ports[name]) for name in ports)


def test_ports_of_the_operators_choice_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPEWIRE_AMQP_PORT", "5671")
    assert compose._broker_ports()["TAPEWIRE_AMQP_PORT"] == "5671"
