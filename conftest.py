"""Brokers for tests: a real RabbitMQ for the run, a vhost of its own for every test.

| fixture | broker |
|---|---|
| `broker_url` | RabbitMQ of this machine as a private node; a container where there is none |
| `any_broker_url` | the test runs on both: this machine's, and RabbitMQ 4 in a container |
| `broker` | as `broker_url`, with `url()`, `add_vhost()` and, on a private node, `eval()` |

A broker starts when the first test asks for it. pytest-xdist's workers share one: the first to
come starts it, the last to go stops it, under a file lock.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import os
import re
import secrets
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx
import psutil
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from tapewire.fleet.installation import Installation
from tapewire.fleet.private_broker import attach
from tapewire.fleet.rabbitmq import PLUGINS

IMAGE = os.environ.get("TAPEWIRE_TEST_RABBITMQ_IMAGE", "rabbitmq:4-management")
OWNER_LABEL = "org.tapewire.test-run"  # the pid of the pytest that started a container
START_TIMEOUT_S = 150.0  # two cores, loaded by the rest of the run; an image pull comes before it

# How long an example takes says how busy the machine is: no test should fail for that.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


class Scheduling(LoadFileScheduling):
    """Gives each of pytest-xdist's workers whole files, and one of them each engine's fleet."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith("tests-integration/"):
            for engine in ("process", "containers"):
                if re.search(rf"[\[-]{engine}[\]-]", nodeid):
                    # The page has a fleet of its own, so that neither waits for the other.
                    page = " for the page" if "/browser/" in nodeid else ""
                    return f"fleet on {engine}{page}"
        return super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)  # also without pytest-xdist: `-p no:xdist`
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Distribute tests over workers; `tests-integration` has a fleet for each engine."""
    return Scheduling(config, log)


class Broker(Protocol):
    """What tests use of a running RabbitMQ."""

    @property
    def management(self) -> str:
        """The base URL of the management API."""
        ...

    def url(self, vhost: str = "/") -> str:
        """The administrator's AMQP URL of a vhost."""
        ...

    def add_vhost(self, name: str) -> str:
        """Adds a vhost in which the administrator may do everything; returns its URL."""
        ...

    def delete_vhost(self, name: str) -> None:
        """Deletes a vhost with everything in it."""
        ...

    def import_definitions(self, document: Mapping[str, Any]) -> None:
        """Imports RabbitMQ's definitions: vhosts, users, topology."""
        ...


@dataclass(frozen=True)
class ContainerBroker:
    """A RabbitMQ in a container, administered over its management API."""

    id: str
    host: str
    amqp_port: int
    http_port: int
    password: str

    @property
    def management(self) -> str:
        """The base URL of the management API."""
        return f"http://{self.host}:{self.http_port}"

    def url(self, vhost: str = "/") -> str:
        """The administrator's AMQP URL of a vhost."""
        return f"amqp://tapewire:{self.password}@{self.host}:{self.amqp_port}/{quote(vhost, '')}"

    def add_vhost(self, name: str) -> str:
        """Adds a vhost; its creator may do everything in it."""
        self._request("PUT", name).raise_for_status()
        return self.url(name)

    def delete_vhost(self, name: str) -> None:
        """Deletes a vhost with everything in it."""
        self._request("DELETE", name).raise_for_status()

    def import_definitions(self, document: Mapping[str, Any]) -> None:
        """Imports definitions."""
        url = f"{self.management}/api/definitions"
        answer = httpx.post(url, json=document, auth=("tapewire", self.password), timeout=30)
        answer.raise_for_status()

    def is_ready(self) -> bool:
        """Whether the management API answers."""
        with contextlib.suppress(httpx.HTTPError):
            return self._request("GET", "/").is_success
        return False

    def _request(self, method: str, vhost: str) -> httpx.Response:
        url = f"{self.management}/api/vhosts/{quote(vhost, '')}"
        return httpx.request(method, url, auth=("tapewire", self.password), timeout=30)


@functools.cache
def _docker_missing() -> str | None:
    """Why no container can be started here, or None."""
    reason = None
    with warnings.catch_warnings():  # the library leaves the socket open that nobody answered
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            import docker

            docker.from_env(timeout=5).ping()
        except Exception as error:
            reason = f"no Docker engine answers ({type(error).__name__})"
        gc.collect()
    return reason


@pytest.fixture(scope="session")
def docker_missing() -> str | None:
    """Why no container can be started here, or None."""
    return _docker_missing()


def _run_pid() -> int:
    """The pid of the pytest run: xdist's controller, or this process."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def _start_private_node(directory: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tapewire.fleet.private_broker", str(directory)]
    log = directory / "private_broker.log"
    with log.open("wb") as errors:  # a file, not a pipe: the detached broker keeps it open
        started = subprocess.run(
            [*command, "--detach", "--watch", str(_run_pid())],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            timeout=START_TIMEOUT_S,
            check=False,
        )
    if started.returncode:
        pytest.fail(f"the private RabbitMQ did not start:\n{log.read_text()}", pytrace=False)
    return {"pid": json.loads((directory / "broker.json").read_text())["pid"]}


def _stop_private_node(state: dict[str, Any]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        guard = psutil.Process(state["pid"])
        guard.terminate()
        guard.wait(60)


def _start_container(directory: Path) -> dict[str, Any]:
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # the last worker removes it, below
    import docker
    from testcontainers.core.container import DockerContainer

    for stale in docker.from_env().containers.list(all=True, filters={"label": OWNER_LABEL}):
        if not psutil.pid_exists(int(stale.labels[OWNER_LABEL])):
            stale.remove(force=True, v=True)
    plugins = directory / "enabled_plugins"
    plugins.write_text(f"[{','.join(PLUGINS)}].\n")
    plugins.chmod(0o644)
    directory.chmod(0o755)
    password = secrets.token_urlsafe(24)
    container = (
        DockerContainer(IMAGE)
        .with_env("RABBITMQ_DEFAULT_USER", "tapewire")
        .with_env("RABBITMQ_DEFAULT_PASS", password)
        .with_volume_mapping(str(plugins), "/etc/rabbitmq/enabled_plugins", "ro")
        .with_exposed_ports(5672, 15672)
        .with_kwargs(labels={OWNER_LABEL: str(_run_pid())})
    )
    container.start()
    wrapped = container.get_wrapped_container()
    state: dict[str, Any] = {
        "id": wrapped.id,
        "host": container.get_container_host_ip(),
        "amqp_port": int(container.get_exposed_port(5672)),
        "http_port": int(container.get_exposed_port(15672)),
        "password": password,
    }
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ContainerBroker(**state).is_ready():
        if time.monotonic() > deadline:
            log = wrapped.logs(tail=20).decode()
            _stop_container(state)
            pytest.fail(f"{IMAGE} was not ready in {START_TIMEOUT_S:.0f} s:\n{log}", pytrace=False)
        time.sleep(0.2)
    return state


def _stop_container(state: dict[str, Any]) -> None:
    import docker

    docker.from_env().containers.get(state["id"]).remove(force=True, v=True)


@contextlib.contextmanager
def _shared(
    name: str,
    factory: pytest.TempPathFactory,
    start: Callable[[Path], dict[str, Any]],
    stop: Callable[[dict[str, Any]], None],
) -> Generator[tuple[Path, dict[str, Any]]]:
    """A thing that the run's workers share: started by the first, stopped by the last."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    directory = base / name
    book, lock = base / f"{name}.json", FileLock(base / f"{name}.lock")
    with lock:
        held: dict[str, Any] = {"users": 0}
        if book.exists():
            held = json.loads(book.read_text())
        if held["users"] == 0:
            directory.mkdir(exist_ok=True)
            held["state"] = start(directory)
        held["users"] += 1
        book.write_text(json.dumps(held))
    try:
        yield directory, held["state"]
    finally:
        with lock:
            held = json.loads(book.read_text())
            held["users"] -= 1
            book.write_text(json.dumps(held))
            if held["users"] == 0:
                stop(held["state"])


@pytest.fixture(scope="session")
def _private_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    if Installation.find() is None:
        pytest.skip("RabbitMQ is not installed on this machine")
    with _shared("rabbitmq-private", tmp_path_factory, _start_private_node, _stop_private_node) as (
        directory,
        _,
    ):
        yield attach(directory)


@pytest.fixture(scope="session")
def _container_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    if reason := _docker_missing():
        pytest.skip(f"NOT TESTED on {IMAGE}: {reason}")
    with _shared("rabbitmq-container", tmp_path_factory, _start_container, _stop_container) as (
        _,
        state,
    ):
        yield ContainerBroker(**state)


def _vhost_of(broker: Broker) -> Iterator[str]:
    name = f"test-{secrets.token_hex(6)}"
    url = broker.add_vhost(name)
    yield url
    broker.delete_vhost(name)


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Broker:
    """The run's RabbitMQ: a private node of this machine's, else a container."""
    if Installation.find() is not None:
        return request.getfixturevalue("_private_broker")
    if reason := _docker_missing():
        pytest.fail(
            f"no broker for the tests: rabbitmq-server is not installed, and {reason}; "
            "`sudo apt-get install rabbitmq-server` or start Docker",
            pytrace=False,
        )
    return request.getfixturevalue("_container_broker")


@pytest.fixture
def broker_url(broker: Broker) -> Iterator[str]:
    """The AMQP URL of a fresh vhost in which the test may do everything."""
    yield from _vhost_of(broker)


@pytest.fixture(
    params=["private", pytest.param("container", marks=pytest.mark.containers)],
)
def any_broker_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """As `broker_url`; the test runs on this machine's RabbitMQ and on RabbitMQ 4."""
    yield from _vhost_of(request.getfixturevalue(f"_{request.param}_broker"))
