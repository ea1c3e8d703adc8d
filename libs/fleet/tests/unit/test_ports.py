import random
import socket

import pytest

from tapewire.fleet import ports


@pytest.fixture
def claims(tmp_path):
    claims = ports.Claims(tmp_path)
    yield claims
    claims.release()


@pytest.fixture
def listener():
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken


def test_a_port_that_somebody_listens_on_is_not_free(listener):
    assert not ports.is_free(listener.getsockname()[1])


def test_a_port_that_somebody_listens_on_everywhere_is_not_free():
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        assert not ports.is_free(taken.getsockname()[1])


def test_every_name_gets_its_default_port_when_all_are_free(monkeypatch, claims):
    monkeypatch.setattr(ports, "is_free", lambda port, host: True)
    assert ports.assign(["dashboard", "edge-1", "ingest", "desk", "risk", "market"], claims) == {
        "dashboard": 8080,
        "edge-1": 8081,
        "ingest": 8082,
        "desk": 8083,
        "risk": 8084,
        "market": 8085,
    }


def test_a_taken_default_port_is_stepped_around_and_nobody_elses_default_is_used(
    monkeypatch, claims
):
    monkeypatch.setattr(ports, "is_free", lambda port, host: port not in {8080, 8082, 8086})
    assert ports.assign(["dashboard", "edge-1", "edge-2", "ingest"], claims) == {
        "dashboard": 8087,
        "edge-1": 8081,
        "edge-2": 8088,
        "ingest": 8089,
    }


def test_two_fleets_that_start_at_once_do_not_choose_the_same_ports(monkeypatch, claims, tmp_path):
    monkeypatch.setattr(ports, "is_free", lambda port, host: True)
    assert ports.assign(["dashboard"], claims) == {"dashboard": 8080}
    other = ports.Claims(tmp_path)
    assert ports.assign(["dashboard"], other) == {"dashboard": 8086}
    other.release()
    claims.release()
    assert ports.assign(["dashboard"], other) == {"dashboard": 8080}
    other.release()


def test_a_full_machine_is_said_so(monkeypatch, claims):
    monkeypatch.setattr(ports, "is_free", lambda port, host: False)
    with pytest.raises(ports.NoFreePort, match="dashboard"):
        ports.assign(["dashboard"], claims)


def test_private_ports_are_distinct_and_outside_the_range_of_outgoing_connections():
    taken = ports.take(50, choose=random.Random(1))
    assert len(set(taken)) == 50
    assert max(taken) < 32768
