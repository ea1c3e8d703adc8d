"""`python -m tapewire.fleet.private_broker DIR`: a private RabbitMQ node until SIGTERM.

With `--watch PID` it also ends when that process is gone, so a test run that was killed leaves
no broker behind. Once the node serves, `DIR/broker.json` (mode 0600) tells how to reach it; with
`--detach` the command returns then and leaves the node to a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from tapewire.fleet.installation import Installation
from tapewire.fleet.rabbitmq import Account, BrokerFailed, Node
from tapewire.fleet.running_node import RunningNode

ANNOUNCEMENT = "broker.json"
WATCH_INTERVAL_S = 0.5


def describe(node: Node) -> dict[str, Any]:
    """What another process needs in order to use the node."""
    return {
        "pid": os.getpid(),
        "amqp": node.url(),
        "amqp_port": node.amqp_port,
        "dist_port": node.dist_port,
        "http_port": node.http_port,
        "user": node.admin.name,
        "password": node.admin.password,
    }


def attach(directory: Path) -> Node:
    """The node that another process runs in `directory`.

    Raises:
        FileNotFoundError: none is ready there.
    """
    told = json.loads((directory / ANNOUNCEMENT).read_text())
    installation = Installation.find()
    assert installation is not None, "a node runs, so RabbitMQ is installed"
    admin = Account(told["user"], told["password"])
    ports = told["amqp_port"], told["dist_port"]
    return Node(directory.resolve(), *ports, admin, {}, installation, http_port=told["http_port"])


def main(argv: list[str] | None = None) -> int:
    """Runs the node; 0 after a clean stop or, detached, once it serves; 1 if it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m tapewire.fleet.private_broker")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--watch", type=int, metavar="PID", help="end when this process is gone")
    parser.add_argument("--detach", action="store_true", help="return when the node serves")
    options = parser.parse_args(argv)
    (options.directory / ANNOUNCEMENT).unlink(missing_ok=True)
    if not options.detach:
        return serve(options.directory, options.watch)
    child = os.fork()
    if child:
        return wait_for_announcement(options.directory, child)
    os.setsid()
    return serve(options.directory, options.watch)


def wait_for_announcement(directory: Path, child: int) -> int:
    """0 once the node of the process `child` serves, its exit code if it ended before."""
    while not (directory / ANNOUNCEMENT).exists():
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status) or 1
        time.sleep(0.05)
    return 0


def serve(directory: Path, watch: int | None) -> int:
    """Runs the node until SIGTERM or until the process `watch` is gone."""
    asked_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: asked_to_stop.set())
    watched = psutil.Process(watch) if watch else None
    try:
        running = RunningNode(Node.create(directory))
        running.start()
    except BrokerFailed as error:
        print(error, file=sys.stderr)
        return 1
    announcement = directory / ANNOUNCEMENT
    draft = announcement.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(describe(running.node)))
    draft.replace(announcement)
    while not asked_to_stop.wait(WATCH_INTERVAL_S):
        # is_running compares the start time, so a pid given to another process does not count.
        if watched is not None and not watched.is_running():
            break
    announcement.unlink(missing_ok=True)
    running.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
