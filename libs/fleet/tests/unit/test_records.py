import stat
from datetime import UTC, datetime

import pytest

from tapewire.fleet.keyring import Keyring
from tapewire.fleet.record import Fleet, NoFleet, Urls

URLS = Urls(
    edge=("http://127.0.0.1:8081",),
    ingest="http://127.0.0.1:8082",
    desk="http://127.0.0.1:8083",
    risk="http://127.0.0.1:8084",
    market="http://127.0.0.1:8085",
    dashboard="http://127.0.0.1:8080",
)


def fleet(run_dir):
    return Fleet(
        engine="process",
        amqp="amqp://operator:hidden@127.0.0.1:5672/",
        inspector="amqp://inspector:hidden@127.0.0.1:5672/",
        management="http://127.0.0.1:15672",
        urls=URLS,
        pids={"supervisor": 1},
        jwt_secret="hidden",
        run_dir=run_dir,
        logs=run_dir / "logs",
        demo=True,
        started_at=datetime(2026, 1, 5, tzinfo=UTC),
    )


def test_a_fleet_is_read_as_it_was_written_and_only_its_owner_can(tmp_path):
    fleet(tmp_path).write()
    assert Fleet.read(tmp_path) == fleet(tmp_path)
    assert stat.S_IMODE((tmp_path / "fleet.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["fleet.json"]


def test_secrets_are_not_in_what_is_printed_of_a_fleet(tmp_path):
    assert "hidden" not in repr(fleet(tmp_path))


def test_no_fleet_is_said_so(tmp_path):
    with pytest.raises(NoFleet, match="no fleet runs here"):
        Fleet.read(tmp_path)


def test_a_record_that_is_not_ours_is_said_so(tmp_path):
    (tmp_path / "fleet.json").write_text("{}")
    with pytest.raises(NoFleet, match="cannot be used"):
        Fleet.read(tmp_path)


def test_a_keyring_is_drawn_once_and_private(tmp_path):
    path = tmp_path / "keyring.json"
    first = Keyring.open(path)
    assert Keyring.open(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first.jwt_secret) >= 32
    assert {"operator", "edge", "producer"} <= first.broker.keys()


def test_a_keyring_gets_what_a_newer_version_needs(tmp_path):
    path = tmp_path / "keyring.json"
    path.write_text('{"jwt_secret": "kept", "broker": {"edge": "kept"}}')
    keyring = Keyring.open(path)
    assert keyring.jwt_secret == "kept"
    assert keyring.broker["edge"] == "kept"
    assert keyring.broker["operator"]
