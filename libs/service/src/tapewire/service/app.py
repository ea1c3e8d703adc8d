"""The FastAPI application that every service is: health, metrics, errors, limits, CORS."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import Scope

from tapewire.service import errors, links, telemetry
from tapewire.service.guard import Guard
from tapewire.service.lifecycle import Component, Lifecycle
from tapewire.service.settings import ServiceSettings

BODY_LIMIT = 1_048_576  # bytes; a service that takes batches says more
OPERATIONS = ("/healthz", "/readyz", "/metrics")
LASTING = ("/v1/stream", "/v1/poll")  # the edge's, that stand in for a socket


def create_app(
    settings: ServiceSettings,
    *,
    service: str,
    components: Sequence[Component],
    routers: Sequence[APIRouter] = (),
    title: str,
    description: str,
    body_limit: int = BODY_LIMIT,
    **fastapi: Any,
) -> FastAPI:
    """Compose a service.

    Args:
        settings: the service's own settings.
        service: its name in logs, metrics and traces, such as `ingest`.
        components: started in this order, drained and stopped in reverse.
        routers: HTTP routes, with their `/v1` prefix.
        title: heading of the OpenAPI page.
        description: text of the OpenAPI page.
        body_limit: bytes of an HTTP request body; past it 413.
        **fastapi: handed to `FastAPI`.

    `app.state` holds `settings`, `service` (the name) and `lifecycle`; where `gather` is set, an
    asynchronous function, it returns body and content type of `/metrics`; where `entry` is set, it
    is the ASGI application that is served, and this one what it hands all else on to.
    """
    lifecycle = Lifecycle(components, drain_timeout_s=settings.drain_timeout_s)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        with links.observed(components):
            await lifecycle.start()
            try:
                yield
            finally:
                await lifecycle.stop()
                await telemetry.flush()

    telemetry.install(service, otlp_endpoint=settings.otlp_endpoint)
    app = FastAPI(
        title=title,
        description=description,
        lifespan=lifespan,
        telemetry={"logs": False, "operation_spans": False, "exclude": _unobserved},
        responses={422: {"model": errors.ErrorBody, "description": "Fields are at fault"}},
        **fastapi,
    )
    app.state.settings = settings
    app.state.service = service
    app.state.lifecycle = lifecycle
    app.state.gather = app.state.entry = None
    errors.install(app)
    app.add_middleware(Guard, body_limit=body_limit)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "traceparent"],
            max_age=600,
        )
    app.include_router(_operations())
    for router in routers:
        app.include_router(router)
    return app


def _unobserved(scope: Scope) -> bool:
    """True for what makes no request span or metric: probes, and what lasts all day."""
    return scope["type"] == "websocket" or scope["path"] in (*OPERATIONS, *LASTING)


def _operations() -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz(request: Request) -> dict[str, str]:
        return {"status": "ok", "service": request.app.state.service}

    @router.get("/readyz", summary="May work be sent here?")
    async def readyz(request: Request, response: Response) -> dict[str, Any]:
        lifecycle: Lifecycle = request.app.state.lifecycle
        ready = lifecycle.ready
        response.status_code = 200 if ready else 503
        return {"ready": ready, "checks": lifecycle.checks()}

    @router.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        gather = request.app.state.gather  # of a service that is several processes
        if gather is not None:
            body, content_type = await gather()
        else:
            body, content_type = telemetry.exposition(request.headers.get("accept"))
        return Response(body, media_type=content_type)

    return router
