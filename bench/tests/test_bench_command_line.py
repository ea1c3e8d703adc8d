"""What ``python -m bench`` is asked for by hand."""

import subprocess
import sys


def test_a_scenario_that_does_not_exist_is_named() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "bench", "--only", "market,fanout"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 2
    assert "no scenario is called fanout" in told.stderr
