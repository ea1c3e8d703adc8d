"""Writes `docs/metrics.md` from the declarations: `python -m tapewire.service.metrics_doc`.

… docs/metrics.md           write the page
… --check docs/metrics.md   exit with status 1 when the page is not what would be written
"""

import sys
from pathlib import Path

from tapewire.service.metrics import ALL, Kind, Metric

_UNITS = {"s": "seconds", "By": "bytes"}
_SECTIONS = {
    "broker": "Broker links (every service)",
    "auth": "Tokens (every service with an HTTP or WebSocket interface)",
    "rate_limited": "Limits (every service with an HTTP or WebSocket interface)",
    "outbox": "Outboxes (services that publish what they committed)",
    "edge": "Edge",
    "ingest": "Ingest",
    "risk": "Risk",
    "market": "Market",
    "desk": "Desk",
    "snapshot": "Snapshots (desk, market)",
}
_HEAD = """\
# Metrics

Generated from `libs/service/src/tapewire/service/metrics.py` by `python -m
tapewire.service.metrics_doc docs/metrics.md`; a test fails when the two differ.

Every service answers `GET /metrics` in the Prometheus text or OpenMetrics format. Names there are
those of the second column; a histogram adds `_bucket`, `_sum` and `_count`. No attribute is an id
of a user, session or connection.

Besides these, every service has `http_server_request_duration_seconds` and
`http_server_active_requests` (FastAPI, by OpenTelemetry's conventions; probes and sockets left
out), `process_*` (memory, CPU, open files), `python_gc_*` and `target_info`.
"""


def prometheus_name(metric: Metric) -> str:
    """Return the name under which a metric stands on `/metrics`."""
    name = metric.name.replace(".", "_")
    if unit := _UNITS.get(metric.unit):
        name = f"{name}_{unit}"
    return f"{name}_total" if metric.kind is Kind.COUNTER else name


def render() -> str:
    """Return the page."""
    parts = [_HEAD]
    for key, title in _SECTIONS.items():
        parts.append(
            f"\n## {title}\n\n| metric | on `/metrics` | kind | attributes | meaning |\n"
            "|---|---|---|---|---|\n"
        )
        parts.extend(_row(metric) for metric in ALL if metric.name.split(".")[1] == key)
    return "".join(parts)


def _row(metric: Metric) -> str:
    attributes = ", ".join(f"`{name}`" for name in metric.attributes) or "none"
    return (
        f"| `{metric.name}` | `{prometheus_name(metric)}` | {metric.kind} | {attributes} "
        f"| {metric.description} |\n"
    )


def main(arguments: list[str]) -> int:
    """Write or check the page; returns the exit status."""
    match arguments:
        case ["--check", path]:
            if Path(path).read_text(encoding="utf-8") == render():
                return 0
            print(f"{path} is out of date: run python -m tapewire.service.metrics_doc {path}")
            return 1
        case [path]:
            Path(path).write_text(render(), encoding="utf-8")
            return 0
        case _:
            print(__doc__)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
