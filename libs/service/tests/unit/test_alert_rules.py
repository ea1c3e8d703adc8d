"""The alert rules ask for metrics that exist, and fire when they should."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
OBSERVABILITY = ROOT / "infra" / "observability"
HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")


def test_every_metric_of_the_rules_is_one_that_a_service_has():
    asked = set(re.findall(r"\btapewire_\w+", (OBSERVABILITY / "alerts.yml").read_text()))
    had = set(re.findall(r"`(tapewire_\w+)`", (ROOT / "docs" / "metrics.md").read_text()))
    had |= {name + part for name in had for part in HISTOGRAM_PARTS}
    assert asked
    assert asked <= had


def test_every_rule_is_tested_and_says_what_to_do():
    rules = set(re.findall(r"- alert: (\w+)", (OBSERVABILITY / "alerts.yml").read_text()))
    tests = (OBSERVABILITY / "alerts.test.yml").read_text()
    tested = set(re.findall(r"alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:", tests))
    told = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "operations.md").read_text()))
    assert rules
    assert rules == tested
    assert rules <= told


def test_the_rules_fire_when_they_should():
    promtool = shutil.which("promtool") or shutil.which("promtool", path=str(ROOT / ".tools"))
    if promtool is None:
        pytest.skip("NOT TESTED: promtool (Prometheus) is not here, and apt cannot bring it")
    for command in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts.test.yml"]):
        done = subprocess.run(
            [promtool, *command], cwd=OBSERVABILITY, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
