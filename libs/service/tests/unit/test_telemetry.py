import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from tapewire.service import metrics, telemetry

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What a recording process would export; the global provider can be set only once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


@pytest.mark.parametrize("value", [PARENT, PARENT.encode()])
def test_without_recording_the_trace_that_came_in_goes_out(value: object):
    with telemetry.span("ingest", headers={"traceparent": value, "x-other": 1}):
        assert telemetry.inject({"kept": 1}) == {"kept": 1, "traceparent": PARENT}
    assert telemetry.inject({}) == {}


@pytest.mark.parametrize("value", ["garbage", b"\xff\xff", 17, "", None])
def test_a_broken_trace_header_is_no_trace(value: object):
    with telemetry.span("ingest", headers={"traceparent": value}):
        assert telemetry.inject({}) == {}


def test_without_a_trace_nothing_is_begun():
    with telemetry.span("ingest") as span:
        assert not span.is_recording()
        assert telemetry.inject({}) == {}


def test_a_recorded_span_is_a_child_of_the_trace_in_the_headers(spans: InMemorySpanExporter):
    with telemetry.span("ingest", headers={"traceparent": PARENT}, kind=SpanKind.CONSUMER):
        headers = telemetry.inject({})
    (span,) = spans.get_finished_spans()
    assert (span.name, span.kind) == ("ingest", SpanKind.CONSUMER)
    assert trace.format_trace_id(span.context.trace_id) == TRACE
    assert span.parent is not None
    assert headers["traceparent"] == f"00-{TRACE}-{trace.format_span_id(span.context.span_id)}-01"


def test_an_exception_is_recorded_and_raised_on(spans: InMemorySpanExporter):
    with pytest.raises(ValueError, match="odd"), telemetry.span("ingest"):
        raise ValueError("odd")
    (span,) = spans.get_finished_spans()
    assert not span.status.is_ok


def test_installing_again_changes_nothing():
    telemetry.install("one")
    telemetry.install("two")
    metrics.counter(metrics.BUNDLES).add(1)  # without a figure the exposition names nobody
    assert telemetry.exposition(None)[0].count(b"service_name=") == 1
