"""What is measured: one module for each row of the table, or for a few that share a set-up."""

from typing import Final

from bench.scenarios.alerts import ALERTS
from bench.scenarios.backlog import BACKLOG
from bench.scenarios.ceiling import CEILING
from bench.scenarios.compression import COMPRESSION
from bench.scenarios.consume import CONSUME
from bench.scenarios.fan_out import FAN_OUT, FAN_OUT_QUICK, MARKET
from bench.scenarios.growth import GROWTH
from bench.scenarios.ingest import INGEST
from bench.scenarios.joining import JOINING
from bench.scenarios.latency import LATENCY
from bench.scenarios.memory import MEMORY
from bench.scenarios.opening import HANDSHAKES, RETURNING
from bench.scenarios.scenario import Scenario
from bench.scenarios.slow import SLOW
from bench.scenarios.storms import STORMS

ALL: Final[tuple[Scenario, ...]] = (
    *(CEILING, FAN_OUT_QUICK, MARKET, FAN_OUT, JOINING, LATENCY, HANDSHAKES, RETURNING, STORMS),
    *(MEMORY, ALERTS, INGEST, BACKLOG, CONSUME, COMPRESSION, SLOW, GROWTH),
)
