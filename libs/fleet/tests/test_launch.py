"""A whole fleet from outside: real broker, real supervisor, stand-ins for the services."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

import psutil
import pytest

from tapewire.fleet import launch, processes
from tapewire.fleet.installation import Installation
from tapewire.fleet.journal import Kind
from tapewire.fleet.lock import is_held
from tapewire.fleet.options import Options
from tapewire.fleet.processes import recorded
from tapewire.fleet.record import Fleet, NoFleet

pytestmark = pytest.mark.skipif(
    Installation.find() is None, reason="RabbitMQ is not installed on this machine"
)

SERVICES = ("edge", "ingest", "desk", "risk", "market", "dashboard")
STAND_IN = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["TAPEWIRE_AMQP_URL"].encode())

address = os.environ["TAPEWIRE_HTTP_HOST"], int(os.environ["TAPEWIRE_HTTP_PORT"])
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""


@pytest.fixture
def options(tmp_path, monkeypatch):
    """A fleet of stand-ins: `tapewire` is a namespace, so the first on the path is taken."""
    for name in SERVICES:
        package = tmp_path / "stand-ins" / "tapewire" / name
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand-ins"))
    options = Options(tmp_path / "run", edges=2, demo=False)
    yield options
    list(launch.stop(options.run_dir))


def start(options):
    return [entry.kind for entry in launch.start(options)]


def fleet(options):
    return Fleet.read(options.run_dir)


def leaders(options):
    return recorded(options.state)


def listening(url):
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=1).close()
    except OSError:
        return False
    return True


def addresses(fleet):
    urls = fleet.urls
    http = (*urls.edge, urls.ingest, urls.desk, urls.risk, urls.market, urls.dashboard)
    return [fleet.amqp, *http]


def test_up_tells_where_everything_is_and_down_leaves_no_process_and_no_port(options):
    assert start(options)[-1] is Kind.UP
    up = fleet(options)
    with pytest.raises(launch.AlreadyRunning):
        start(options)
    assert fleet(options) == up, "a second up starts nothing"
    assert up.pids.keys() == {
        *("supervisor", "rabbitmq", "edge-1", "edge-2"),
        *("ingest", "desk", "risk", "market", "dashboard"),
    }
    assert all(listening(address) for address in addresses(up))
    with urllib.request.urlopen(up.urls.edge[1]) as answer:
        assert answer.read().startswith(b"amqp://edge:"), "a service has a broker user of its own"
    running = leaders(options)
    tree = [p.pid for p in psutil.Process(up.pids["supervisor"]).children(recursive=True)]

    said = [(entry.kind, entry.name) for entry in launch.stop(options.run_dir)]

    assert (Kind.STOPPED, "rabbitmq") in said
    assert not [kind for kind, _ in said if kind is Kind.KILLED]
    assert all(processes.members(leader) == [] for leader in running.values())
    assert [pid for pid in tree if psutil.pid_exists(pid) and _alive(pid)] == []
    assert not any(listening(address) for address in addresses(up))
    assert not is_held(options.run_dir)
    with pytest.raises(NoFleet):
        fleet(options)


def test_of_two_ups_at_once_one_starts_the_fleet(options):
    def attempt(_):
        try:
            return start(options)[-1]
        except launch.AlreadyRunning:
            return "already running"

    with ThreadPoolExecutor(2) as pool:
        results = set(pool.map(attempt, range(2)))
    assert results == {Kind.UP, "already running"}
    assert len(fleet(options).pids) == 9


def test_a_killed_service_and_a_killed_broker_come_back_and_the_record_says_where(options):
    start(options)
    before = fleet(options)
    for name in ("risk", "rabbitmq"):
        os.kill(before.pids[name], signal.SIGKILL)
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        after = fleet(options)
        if all(
            after.pids.get(name, before.pids[name]) != before.pids[name]
            for name in ("risk", "rabbitmq")
        ) and all(map(listening, addresses(before))):
            break
        time.sleep(0.1)
    assert after.urls == before.urls
    assert all(listening(address) for address in addresses(after))


def test_a_taken_port_is_stepped_around(options):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8080))
            taken.listen()
        except OSError:
            pass  # somebody else's: taken all the same
        start(options)
        assert not fleet(options).urls.dashboard.endswith(":8080")
        assert listening(fleet(options).urls.dashboard)


def test_down_ends_what_a_killed_supervisor_left(options):
    start(options)
    up, running = fleet(options), leaders(options)
    os.kill(up.pids["supervisor"], signal.SIGKILL)
    said = [(entry.kind, entry.name) for entry in launch.stop(options.run_dir)]
    assert (Kind.STOPPED, "rabbitmq") in said
    assert all(processes.members(leader) == [] for leader in running.values())
    assert not any(listening(address) for address in addresses(up))


def test_up_after_a_killed_supervisor_ends_the_left_over_and_starts_afresh(options):
    start(options)
    old, secret = leaders(options), fleet(options).jwt_secret
    os.kill(old["supervisor"].pid, signal.SIGKILL)
    assert start(options)[-1] is Kind.UP
    assert all(processes.members(leader) == [] for leader in old.values())
    assert old["risk"].pid != fleet(options).pids["risk"]
    assert fleet(options).jwt_secret == secret, "tokens outlive a restart"


def test_a_fleet_ends_with_the_process_that_it_watches(options):
    with subprocess.Popen(["sleep", "600"]) as watched:
        start(replace(options, watch=watched.pid))
        running = leaders(options)
        watched.kill()
    deadline = time.monotonic() + 60
    while any(processes.members(leader) for leader in running.values()):
        assert time.monotonic() < deadline, "the fleet runs on"
        time.sleep(0.1)


def test_a_service_that_does_not_start_is_named_with_its_log_and_nothing_is_left(options, tmp_path):
    broken = tmp_path / "stand-ins" / "tapewire" / "desk" / "__main__.py"
    broken.write_text("raise SystemExit('the database is gone')")
    with pytest.raises(launch.LaunchFailed, match=r"(?s)desk ended with code 1.*database is gone"):
        start(options)
    assert leaders(options) == {}
    assert not is_held(options.run_dir)


def test_down_without_a_fleet_does_nothing(options):
    assert list(launch.stop(options.run_dir)) == []


def _alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
