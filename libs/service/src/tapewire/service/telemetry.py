"""OpenTelemetry for a service: metrics on `/metrics`, traces through AMQP headers.

One provider per process. Without an OTLP endpoint spans are not recorded, but the trace that
came in with a message still goes out with what that message causes.
"""

import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections.abc import Generator, Mapping, MutableMapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from opentelemetry import metrics as otel_metrics
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import GC_COLLECTOR, CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

log = logging.getLogger(__name__)

_Headers = TypeVar("_Headers", bound=MutableMapping[str, Any])

SCOPE = "tapewire"
FLUSH_DEADLINE_S = 2.0  # a collector that is away must not hold up a rolling restart

# Ours, not prometheus_client's: that one is global, and a second provider there would clash.
REGISTRY = CollectorRegistry(auto_describe=False)
_W3C = TraceContextTextMapPropagator()
_installed: dict[str, object] = {}


def install(service: str, *, otlp_endpoint: str | None = None) -> None:
    """Set this process's providers up. Once: later calls, as tests make them, change nothing.

    Args:
        service: `service.name` of the resource.
        otlp_endpoint: base URL of an OTLP/HTTP collector; spans go to its `/v1/traces`.
    """
    if "meter" not in _installed:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader

        reader = PrometheusMetricReader(scope_info_enabled=False, registry=REGISTRY)
        ProcessCollector(registry=REGISTRY)
        REGISTRY.register(GC_COLLECTOR)
        provider = MeterProvider([reader], resource=_resource(service), shutdown_on_exit=False)
        otel_metrics.set_meter_provider(provider)
        _installed["meter"] = provider
    if otlp_endpoint and "tracer" not in _installed:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = OTLPSpanExporter(endpoint=f"{otlp_endpoint.rstrip('/')}/v1/traces")
        tracing = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
        tracing.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(tracing)
        _installed["tracer"] = tracing


def _resource(service: str) -> Resource:
    return Resource.create(
        {
            "service.name": f"tapewire-{service}",
            "service.version": _version(),
            "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
        }
    )


def _version() -> str:
    try:
        return version("tapewire")
    except PackageNotFoundError:  # run from a folder of sources, as in the image
        return "unknown"


async def flush() -> None:
    """Send the spans that wait, for as long as the deadline allows; the rest are lost."""
    provider = _installed.get("tracer")
    if not isinstance(provider, TracerProvider):
        return
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def send() -> None:
        provider.force_flush()  # the exporter keeps trying for 10 s, whatever it is told
        with contextlib.suppress(RuntimeError):  # the loop closed meanwhile
            loop.call_soon_threadsafe(done.set)

    # a daemon: the interpreter would wait for a thread of the loop's executor
    threading.Thread(target=send, name="flush", daemon=True).start()
    try:
        async with asyncio.timeout(FLUSH_DEADLINE_S):
            await done.wait()
    except TimeoutError:
        log.warning("spans not sent", extra={"deadline_s": FLUSH_DEADLINE_S})


def exposition(accept: str | None) -> tuple[bytes, str]:
    """Return (body, content type) of `/metrics` in the format that the scraper prefers."""
    encode, content_type = choose_encoder(accept or "")
    return encode(REGISTRY), content_type


@contextlib.contextmanager
def span(
    name: str,
    *,
    headers: Mapping[str, object] | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, str | bool | int | float] | None = None,
) -> Generator[Span]:
    """Run the body inside a span, a child of the trace in `headers` when there is one.

    Args:
        name: low in variety; never an id of a user or session.
        headers: AMQP headers; `traceparent` may be text or bytes.
        kind: CONSUMER for a delivery being handled, PRODUCER for a publish.
        attributes: span attributes.

    An exception that leaves the body is recorded on the span and raised on.
    """
    carrier = _text(headers) if headers else None
    if not carrier and not recording():
        yield INVALID_SPAN  # no trace to continue and none to begin
        return
    context = _W3C.extract(carrier) if carrier else None
    tracer = trace.get_tracer(SCOPE)
    with tracer.start_as_current_span(
        name, context=context, kind=kind, attributes=attributes
    ) as current:
        yield current


def recording() -> bool:
    """True when this process records spans, that is, when somebody set a provider."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def inject(headers: _Headers) -> _Headers:
    """Write the current trace into AMQP headers, and return them. No trace, no header."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    headers.update(carrier)
    return headers


def _text(headers: Mapping[str, object]) -> dict[str, str]:
    carrier: dict[str, str] = {}
    for key in ("traceparent", "tracestate"):
        value = headers.get(key)
        if isinstance(value, bytes):
            value = value.decode("ascii", "replace")
        if isinstance(value, str):
            carrier[key] = value
    return carrier
