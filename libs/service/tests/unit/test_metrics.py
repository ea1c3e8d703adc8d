import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapewire.service import metrics, telemetry
from tapewire.service.instruments import Kind, Metric
from tapewire.service.metrics_doc import main, prometheus_name, render

ROOT = Path(__file__).parents[4]


@pytest.fixture(autouse=True, scope="module")
def _provider() -> None:
    telemetry.install("test")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """A metric name that no other test uses: instruments live as long as the process."""
    return "tapewire.test." + request.node.name.replace("[", ".").rstrip("]")


def exposed(metric: Metric) -> dict[str, float]:
    """Return the samples of a metric on `/metrics`: text after the name → value."""
    text = telemetry.exposition(None)[0].decode()
    pattern = re.compile(rf"^{prometheus_name(metric)}(\S*) (\S+)$", re.MULTILINE)
    return {labels: float(value) for labels, value in pattern.findall(text)}


def test_a_counter_adds_up_by_attributes(name: str):
    metric = Metric(name, Kind.COUNTER, "{event}", "test", ("outcome", "source"))
    counter = metrics.counter(metric)
    counter.add(2, {"outcome": "ok", "source": "http"})
    counter.add(1, {"source": "http", "outcome": "ok"})
    bound = metrics.counter(metric).of({"outcome": "bad", "source": "http"})
    bound.add(5)
    assert exposed(metric) == {
        '{outcome="ok",source="http"}': 3,
        '{outcome="bad",source="http"}': 5,
    }


def test_a_gauge_shows_the_last_value_until_it_is_forgotten(name: str):
    metric = Metric(name, Kind.GAUGE, "s", "test", ("feed",))
    gauge = metrics.gauge(metric)
    gauge.set(3, {"feed": "a"})
    gauge.set(1.5, {"feed": "a"})
    gauge.set(9, {"feed": "b"})
    gauge.forget({"feed": "b"})
    assert exposed(metric) == {'{feed="a"}': 1.5}


def test_a_histogram_has_the_bounds_of_its_declaration(name: str):
    metric = Metric(name, Kind.HISTOGRAM, "s", "test", bounds=(0.1, 1.0))
    metrics.histogram(metric).record(0.5)
    assert exposed(metric) == {
        '_bucket{le="0.1"}': 0,
        '_bucket{le="1.0"}': 1,
        '_bucket{le="+Inf"}': 1,
        "_count": 1,
        "_sum": 0.5,
    }


@pytest.mark.parametrize("kind", [Kind.GAUGE, Kind.COUNTER])
def test_a_value_is_observed_until_that_is_stopped(name: str, kind: Kind):
    metric = Metric(name, kind, "{message}", "test", ("class",))
    stop = metrics.observe(metric, lambda: [(4, {"class": "live"})])
    assert exposed(metric) == {'{class="live"}': 4}
    stop()
    assert exposed(metric) == {}
    metrics.observe(metric, lambda: 7)
    assert exposed(metric) == {"": 7}


def test_one_observer_that_fails_hides_no_other(name: str, caplog: pytest.LogCaptureFixture):
    metric = Metric(name, Kind.GAUGE, "{message}", "test")
    metrics.observe(metric, lambda: 1 / 0)
    metrics.observe(metric, lambda: 7)
    assert exposed(metric) == {"": 7}
    assert "could not be read" in caplog.text


def test_a_metric_is_used_as_what_it_is_declared():
    with pytest.raises(ValueError, match="is a gauge, not a counter"):
        metrics.counter(metrics.CONNECTIONS)
    with pytest.raises(ValueError, match="is a histogram"):
        metrics.observe(metrics.CONFIRM_LATENCY, lambda: 1)


def test_names_are_unique_and_attributes_name_nobody():
    names = [metric.name for metric in metrics.ALL]
    assert len(set(names)) == len(names)
    attributes = {attribute for metric in metrics.ALL for attribute in metric.attributes}
    assert not attributes & {"user", "user_id", "session", "session_id", "client_id", "id"}


@pytest.mark.parametrize("metric", metrics.ALL, ids=lambda metric: metric.name)
def test_a_declared_metric_is_exposed_under_its_documented_name(metric: Metric):
    labels = dict.fromkeys(metric.attributes, "x")
    match metric.kind:
        case Kind.COUNTER:
            metrics.counter(metric).add(1, labels)
        case Kind.GAUGE:
            metrics.gauge(metric).set(1, labels)
        case Kind.HISTOGRAM:
            metrics.histogram(metric).record(1, labels)
    assert exposed(metric)
    assert f"| `{prometheus_name(metric)}` |" in render()


def test_the_page_of_metrics_is_up_to_date():
    assert main(["--check", str(ROOT / "docs" / "metrics.md")]) == 0


def test_a_page_out_of_date_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    page = tmp_path / "metrics.md"
    page.write_text("old")
    assert main(["--check", str(page)]) == 1
    assert "out of date" in capsys.readouterr().out
    assert main([str(page)]) == 0
    assert main(["--check", str(page)]) == 0


def test_every_metric_that_any_code_names_is_declared():
    declared = {metric.name: metric for metric in metrics.ALL}
    literal = re.compile(r"create_\w+\(\s*\"(tapewire\.[\w.]+)\"")
    for folder in ("libs", "services"):
        for path in (ROOT / folder).glob("*/src/**/*.py"):
            source = path.read_text(encoding="utf-8")
            for name in literal.findall(source):
                assert name in declared, f"{path}: declare {name} in tapewire.service.metrics"
                assert f'unit="{declared[name].unit}"' in source, f"{path}: {name}"
                assert f'description="{declared[name].description}"' in source, f"{path}: {name}"
