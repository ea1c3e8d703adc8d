"""What is measured: one module for each row of the table, or for a few that share a set-up."""

from typing import Final

from bench.scenarios.ceiling import CEILING
from bench.scenarios.fan_out import FAN_OUT, FAN_OUT_QUICK, MARKET
from bench.scenarios.scenario import Scenario

ALL: Final[tuple[Scenario, ...]] = (CEILING, FAN_OUT_QUICK, MARKET, FAN_OUT)
