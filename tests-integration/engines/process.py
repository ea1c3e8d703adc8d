"""A fleet of local processes: what `tapewire up --edges 2 --no-demo` starts."""

import asyncio
import os
import time
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from urllib.parse import quote, urlsplit

import psutil

from engines.fleet import EDGES, SETTINGS, EngineAbsent, Fleet
from tapewire.fleet import launch, record
from tapewire.fleet.installation import Installation
from tapewire.fleet.keyring import Keyring
from tapewire.fleet.options import Options

STOP_TIMEOUT_S = 60.0  # longer than a drain


def absence() -> str | None:
    """Why there can be no such fleet here, or None."""
    return None if Installation.find() else "rabbitmq-server is not installed"


def start(directory: Path, replay: Path | None = None) -> Fleet:
    """Start the fleet in `directory`; it ends with this process at the latest."""
    if reason := absence():
        raise EngineAbsent(reason)
    options = Options(
        directory / "run", edges=len(EDGES), demo=False, watch=os.getpid(), replay=replay
    )
    with _environment(SETTINGS):
        for _ in launch.start(options):
            pass
    return ProcessFleet(options)


@contextmanager
def _environment(settings):
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class ProcessFleet(Fleet):
    """A fleet under the supervisor."""

    engine = "process"

    def __init__(self, options: Options) -> None:
        self._options = options
        self.told_in = options.run_dir / "fleet.json"
        told = record.Fleet.read(options.run_dir)
        self._broker = urlsplit(told.amqp)
        self._passwords = Keyring.open(options.run_dir / "keyring.json").broker
        self.jwt_secret = told.jwt_secret
        single = ("ingest", "risk", "market", "desk", "dashboard")
        self._urls = dict(zip(EDGES, told.urls.edge, strict=False))
        self._urls |= {name: getattr(told.urls, name) for name in single}

    def url(self, node: str) -> str:
        return self._urls[node]

    def amqp_url(self, user: str = "producer") -> str:
        password = quote(self._passwords[user], safe="")
        return f"amqp://{user}:{password}@{self._broker.hostname}:{self._broker.port}/%2F"

    async def kill(self, node: str, number: Signals = SIGKILL) -> None:
        process = self.process(node)
        process.send_signal(number)
        if number == SIGKILL:
            await asyncio.to_thread(process.wait, 10)

    async def stop(self, node: str) -> None:
        (self._options.held / node).touch()
        process = self.process(node)
        process.send_signal(SIGTERM)
        await asyncio.to_thread(process.wait, STOP_TIMEOUT_S)

    async def start(self, node: str) -> None:
        (self._options.held / node).unlink()
        if node in self._urls:
            await self.until_ready(node)

    def log(self, node: str) -> str:
        path = self._options.logs / f"{node}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self) -> None:
        for _ in launch.stop(self._options.run_dir):
            pass

    def process(self, node: str) -> psutil.Process:
        """Return the node's process; one that is just being started again is waited for."""
        deadline = time.monotonic() + 20
        while True:
            pid = record.Fleet.read(self._options.run_dir).pids.get(node)
            if pid is not None and psutil.pid_exists(pid):
                return psutil.Process(pid)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{node} does not run")
            time.sleep(0.05)
