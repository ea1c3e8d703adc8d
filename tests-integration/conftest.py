"""A fleet for the run: real services, a real broker, on the engine that was asked for.

    pytest tests-integration                            on the first engine that this machine has
    pytest tests-integration --engine containers        on one
    pytest tests-integration --engine process --engine containers       on both, one after the other

With `TAPEWIRE_REQUIRE_ENGINE=1` an engine that is absent is an error, and not a skip.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import ENGINES, Fleet, absence, start

HERE = Path(__file__).parent
TIMEOUT_S = 420
LOG_TAIL = 3000  # characters of each node's log, in the report of a failed test
NODES = ("edge-1", "edge-2", "ingest", "risk", "market", "desk", "rabbitmq")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--engine`."""
    parser.addoption(
        "--engine",
        action="append",
        choices=ENGINES,
        help="what runs the fleet of tests-integration; may be given twice "
        "(also: TAPEWIRE_TEST_ENGINES=process,containers)",
    )


def _engines(config: pytest.Config) -> list[str]:
    if chosen := config.getoption("--engine", default=None):
        return chosen
    if chosen := os.environ.get("TAPEWIRE_TEST_ENGINES"):
        return [name.strip() for name in chosen.split(",")]
    return [next((name for name in ENGINES if absence(name) is None), ENGINES[0])]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that asks for a fleet on each chosen engine."""
    if "fleet" in metafunc.fixturenames:
        metafunc.parametrize("fleet", _engines(metafunc.config), indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give fleets time: the first test's includes the building of images.

    Page and faults are the same code on both engines: on containers they are among the long tests.
    """
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))
            engine = item.callspec.params.get("fleet") if hasattr(item, "callspec") else None
            if engine == "containers" and item.path.parent.name in ("browser", "faults"):
                item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A fleet of two edges; tests share it, each with users of its own."""
    engine = request.param
    if reason := absence(engine):
        if os.environ.get("TAPEWIRE_REQUIRE_ENGINE") == "1":
            pytest.fail(f"the engine {engine!r} was required: {reason}", pytrace=False)
        pytest.skip(f"NOT TESTED on the engine {engine!r}: {reason}")
    running = start(engine, tmp_path_factory.mktemp(f"fleet-{engine}"))
    yield running
    running.close()


@pytest.fixture
def user() -> str:
    """A user whom the fleet has never seen."""
    return f"user-{secrets.token_hex(5)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Attach what the fleet logged to the report of a test that failed."""
    report = yield
    running = getattr(item, "funcargs", {}).get("fleet")
    if report.failed and isinstance(running, Fleet):
        for node in NODES:
            report.sections.append((f"end of the log of {node}", running.log(node)[-LOG_TAIL:]))
    return report
