"""What metrics are counted with: OpenTelemetry's instruments, and cheaper ones of our own."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from opentelemetry import metrics as otel
from opentelemetry.metrics import CallbackOptions, Histogram, Observation

log = logging.getLogger(__name__)


class Kind(StrEnum):
    """What a metric is; `gauge` is a value of now, set or observed."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


# Bucket bounds in seconds: 0.5 ms, a local confirm, to 30 s, the ack deadline.
FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# Bucket bounds in seconds for what waits for a person: an ack comes in a second or a week.
PATIENT = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 86400.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's declaration. `unit` is UCUM: `s`, `By`, or `{thing}` for a count."""

    name: str
    kind: Kind
    unit: str
    description: str
    attributes: tuple[str, ...] = ()
    bounds: tuple[float, ...] = FAST


Reading = float | Iterable[tuple[float, Mapping[str, str]]]
Callback = Callable[[], Reading]


class Cell:
    """One time series of a counter or gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float) -> None:
        """Count on."""
        self.value += amount

    def set(self, value: float) -> None:
        """Report this value from now on."""
        self.value = value


class Series:
    """A metric's time series by attributes, read when `/metrics` is asked for.

    The SDK's own counters cost 7 µs for each `add` (measured); one here costs 0.5 µs, and
    0.1 µs through `of`.
    """

    def __init__(self) -> None:
        self._cells: dict[frozenset[tuple[str, str]], Cell] = {}

    def of(self, attributes: Mapping[str, str] | None = None) -> Cell:
        """Return the one series with these attributes, to keep at hand on a hot path."""
        return self._cells.setdefault(frozenset((attributes or {}).items()), Cell())

    def forget(self, attributes: Mapping[str, str] | None = None) -> None:
        """Report nothing for these attributes any more."""
        self._cells.pop(frozenset((attributes or {}).items()), None)

    def readings(self) -> list[tuple[float, Mapping[str, str]]]:
        """Return what is reported: (value, attributes)."""
        return [(cell.value, dict(key)) for key, cell in list(self._cells.items())]


class Counter(Series):
    """Counts up: `.add(n, {attribute: value})`."""

    def add(self, amount: float, attributes: Mapping[str, str] | None = None) -> None:
        """Count on."""
        self.of(attributes).value += amount


class Gauge(Series):
    """A value of now, set by hand: `.set(value, {attribute: value})`."""

    def set(self, value: float, attributes: Mapping[str, str] | None = None) -> None:
        """Report this value from now on."""
        self.of(attributes).value = value


_callbacks: dict[str, list[Callback]] = {}


@cache
def counter(metric: Metric) -> Counter:
    """Return the process's counter of this name."""
    _check(metric, Kind.COUNTER)
    made = Counter()
    observe(metric, made.readings)
    return made


@cache
def gauge(metric: Metric) -> Gauge:
    """Return the process's gauge of this name."""
    _check(metric, Kind.GAUGE)
    made = Gauge()
    observe(metric, made.readings)
    return made


@cache
def histogram(metric: Metric) -> Histogram:
    """Return the process's histogram of this name: `.record(seconds, {attribute: value})`."""
    _check(metric, Kind.HISTOGRAM)
    return _meter().create_histogram(
        metric.name,
        metric.unit,
        metric.description,
        explicit_bucket_boundaries_advisory=metric.bounds,
    )


def observe(metric: Metric, callback: Callback) -> Callable[[], None]:
    """Read a gauge's value, or a counter's total, whenever `/metrics` is asked for.

    Args:
        metric: a gauge or a counter.
        callback: returns a number, or (number, attributes) pairs. Must be quick and not block.

    Returns:
        A function that ends the observation.
    """
    if metric.kind is Kind.HISTOGRAM:
        raise ValueError(f"{metric.name} is a histogram: record it")
    if metric.name not in _callbacks:
        _callbacks[metric.name] = []
        create = (
            _meter().create_observable_counter
            if metric.kind is Kind.COUNTER
            else _meter().create_observable_gauge
        )
        create(metric.name, [_reader(metric.name)], metric.unit, metric.description)
    callbacks = _callbacks[metric.name]
    callbacks.append(callback)

    def stop() -> None:
        if callback in callbacks:
            callbacks.remove(callback)

    return stop


def _reader(name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def read(_: CallbackOptions) -> Iterable[Observation]:
        for callback in list(_callbacks[name]):
            try:
                reading = callback()
                found = (
                    [Observation(reading)]
                    if isinstance(reading, int | float)
                    else [Observation(value, dict(labels)) for value, labels in reading]
                )
            except Exception:  # one part's fault must not hide the others' figures
                log.exception("metric could not be read", extra={"metric": name})
            else:
                yield from found

    return read


def _check(metric: Metric, kind: Kind) -> None:
    if metric.kind is not kind:
        raise ValueError(f"{metric.name} is a {metric.kind}, not a {kind}")


def _meter() -> otel.Meter:
    return otel.get_meter("tapewire")
