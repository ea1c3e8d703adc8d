"""The command line as a person types it, against a fleet of real services."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pika
import psutil
import pytest

from tapewire.fleet.installation import Installation

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        Installation.find() is None, reason="RabbitMQ is not installed on this machine"
    ),
]

NOTICE = {
    "type": "system_notification",
    "userId": "carol",
    "level": "info",
    "category": "system",
    "title": "Hello",
    "message": "From the command line",
}


def tapewire(*arguments, run_dir, stdin=None, code=0, timeout=180):
    """Runs a command to its end; returns its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "tapewire.cli", *arguments],
        env={**os.environ, "TAPEWIRE_RUN_DIR": str(run_dir)},
        input=stdin or "",
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A fleet without the demo, so that only our own events are in it."""
    run_dir = tmp_path_factory.mktemp("run")
    tapewire("up", "--no-demo", "--edges", "2", run_dir=run_dir)
    yield run_dir
    tapewire("down", run_dir=run_dir)


@pytest.fixture
def tail(run_dir):
    """Carol's tail as a process that has seen its connection open."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tapewire.cli", "tail", "--user", "carol", "--json"],
        env={**os.environ, "TAPEWIRE_RUN_DIR": str(run_dir)},
        stdout=subprocess.PIPE,
        text=True,
    )
    first = json.loads(process.stdout.readline())  # a quote of the simulated market
    assert first["type"] == "market_data"
    yield process
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)


def until(process, wanted):
    """The next message of this type that the tail prints."""
    for line in process.stdout:
        message = json.loads(line)
        if message["type"] == wanted:
            return message
    raise AssertionError(f"the tail ended without a {wanted}")


@pytest.mark.parametrize("way", [(), ("--http",)], ids=["over AMQP", "over HTTP"])
def test_a_published_event_arrives_in_the_tail(run_dir, tail, way):
    event = {**NOTICE, "title": f"{way}"}
    told = tapewire("publish", json.dumps(event), "--json", *way, run_dir=run_dir)
    message = until(tail, "system_notification")
    assert message["title"] == event["title"]
    assert message["id"] == json.loads(told)["id"]


def test_events_from_a_pipe_are_told_one_by_one_and_a_bad_one_names_its_field(run_dir):
    bad = {**NOTICE, "level": "loud"}
    lines = "\n".join(json.dumps(event) for event in (NOTICE, bad, NOTICE))
    said = tapewire("publish", run_dir=run_dir, stdin=lines, code=1)
    assert "rejected event 2" in said
    assert "level: " in said
    assert "2 confirmed, 1 rejected" in said


def test_a_token_opens_the_desk(run_dir):
    token = tapewire("token", "--user", "carol", run_dir=run_dir).strip()
    desk = json.loads((run_dir / "fleet.json").read_text())["urls"]["desk"]
    request = urllib.request.Request(
        f"{desk}/v1/sessions", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def test_status_and_doctor_find_everything_in_order(run_dir):
    status = json.loads(tapewire("status", "--json", run_dir=run_dir))
    assert {row["name"]: row["ready"] for row in status["services"]} == dict.fromkeys(
        ("edge-1", "edge-2", "ingest", "desk", "risk", "market", "dashboard"), True
    )
    findings = json.loads(tapewire("doctor", "--json", run_dir=run_dir))
    broker = next(finding for finding in findings if finding["subject"] == "Broker")
    assert broker["verdict"] == "ok"


def test_an_operator_sees_what_waits_and_what_was_refused(run_dir):
    alert = {**NOTICE, "userId": "dave", "level": "critical", "title": "Wait for Dave"}
    told = json.loads(tapewire("publish", json.dumps(alert), "--json", run_dir=run_dir))

    def waiting():
        found = json.loads(tapewire("inbox", "ls", "--json", run_dir=run_dir))
        return [box for box in found if box["user"] == "dave" and box["ready"]]

    box = soon(waiting)[0]
    assert (box["unacked"], box["holder"]) == (0, None)
    for _ in range(2):
        seen = json.loads(tapewire("inbox", "peek", "dave", "--json", run_dir=run_dir))
        assert [message["id"] for message in seen["messages"]] == [told["id"]]
        assert seen["messages"][0]["message"]["title"] == "Wait for Dave"
    assert "dave" in tapewire("inbox", "ls", run_dir=run_dir)
    assert "1 waiting" in tapewire("inbox", "peek", "dave", run_dir=run_dir)

    amqp = json.loads((run_dir / "fleet.json").read_text())["amqp"]
    connection = pika.BlockingConnection(pika.URLParameters(amqp))
    properties = pika.BasicProperties(app_id="strategy-7")
    connection.channel().basic_publish("tw.ingest", "", b'{"type": "nonsense"}', properties)
    connection.close()

    def refused():
        return json.loads(tapewire("rejected", "ls", "--json", run_dir=run_dir))

    (rejection,) = soon(refused)
    assert rejection["producer"] == "strategy-7"
    assert rejection["errors"][0]["field"] == "type"
    again = tapewire("rejected", "replay", rejection["id"], run_dir=run_dir, code=1)
    assert "rejected" in again


def test_a_second_up_says_so_and_starts_nothing(run_dir):
    before = (run_dir / "fleet.json").read_text()
    assert "already running" in tapewire("up", run_dir=run_dir)
    assert (run_dir / "fleet.json").read_text() == before


def test_a_killed_service_is_back_and_status_counts_its_death(run_dir):
    before = json.loads((run_dir / "fleet.json").read_text())["pids"]["risk"]
    os.kill(before, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pids = json.loads((run_dir / "fleet.json").read_text())["pids"]
        if pids.get("risk", before) != before and _all_ready(run_dir):
            break
        time.sleep(0.2)
    status = json.loads(tapewire("status", "--json", run_dir=run_dir))
    assert next(row for row in status["services"] if row["name"] == "risk")["deaths"] == 1
    assert psutil.pid_exists(pids["risk"])


def soon(look):
    """What `look` returns once it returns something."""
    deadline = time.monotonic() + 30
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def _all_ready(run_dir):
    env = {**os.environ, "TAPEWIRE_RUN_DIR": str(run_dir)}
    command = [sys.executable, "-m", "tapewire.cli", "status"]
    return subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0


def test_a_token_is_revoked_and_listed(run_dir):
    token = tapewire("token", "--user", "mallory", run_dir=run_dir).strip()
    said = json.loads(tapewire("token", "revoke", token, "--json", run_dir=run_dir))
    everything = tapewire(
        "token", "revoke", "--user", "mallory", "--longest", "1h", run_dir=run_dir
    )
    assert "tokens of mallory" in everything

    deadline = time.monotonic() + 30
    while True:  # it comes back to the edge by way of the broker
        listed = json.loads(tapewire("token", "revoked", "--json", run_dir=run_dir))
        kinds = {(one.get("tokenId"), one.get("userId")) for one in listed}
        if {(said["tokenId"], None), (None, "mallory")} <= kinds:
            break
        assert time.monotonic() < deadline, listed
    assert "mallory" in tapewire("token", "revoked", run_dir=run_dir)
