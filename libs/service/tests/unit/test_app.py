import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Request
from pydantic import BaseModel

from tapewire.broker import Link, Role
from tapewire.service import ApiError, FieldProblem, ServiceSettings, create_app, running, telemetry

router = APIRouter(prefix="/v1")
ORIGIN = "http://desk.example"


class Order(BaseModel):
    symbol: str
    quantity: int


@router.post("/orders")
async def order(orders: list[Order]) -> int:
    return len(orders)


@router.post("/stream")
async def stream(request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


@router.get("/gone")
async def gone() -> None:
    raise HTTPException(410, "It was here")


@router.get("/taken")
async def taken() -> None:
    raise ApiError(409, "taken", "Somebody has it", [FieldProblem(field="id", message="in use")])


@router.get("/broken")
async def broken() -> None:
    raise ZeroDivisionError


class Part:
    name = "part"
    fault: str | None = None

    async def start(self) -> None: ...
    async def drain(self) -> None: ...
    async def stop(self) -> None: ...
    def health(self) -> str | None:
        return self.fault


part = Part()


def make() -> FastAPI:
    return create_app(
        ServiceSettings(cors_origins=(ORIGIN,)),
        service="test",
        components=[part],
        routers=[router],
        title="Test",
        description="A test",
        body_limit=1000,
    )


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = make()
    async with (
        running(app, app.state.settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as made,
    ):
        yield made


async def test_an_alive_service_says_so(client: httpx.AsyncClient):
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "service": "test"})


async def test_a_ready_service_says_so_and_why_not(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
):
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "checks": {"part": "ok"}})
    monkeypatch.setattr(part, "fault", "broker away")
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "checks": {"part": "broker away"}}


async def test_a_draining_service_is_alive_and_not_ready():
    app = make()
    async with (
        running(app, app.state.settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        await app.state.lifecycle.drain()
        assert (await client.get("/healthz")).status_code == 200
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["checks"]["service"]) == (503, "draining")


async def test_a_field_at_fault_is_named_by_its_path(client: httpx.AsyncClient):
    answer = await client.post("/v1/orders", json=[{"symbol": "SPY", "quantity": "many"}])
    assert answer.status_code == 422
    body = answer.json()
    assert body["code"] == "invalid"
    assert body["message"].startswith("0.quantity: ")
    assert [error["field"] for error in body["errors"]] == ["0.quantity"]


@pytest.mark.parametrize("content", [b"{", b"[" * 900, b"\xff\xfe"])
async def test_a_body_that_is_no_json_is_the_clients_fault(
    client: httpx.AsyncClient, content: bytes
):
    headers = {"content-type": "application/json"}
    answer = await client.post("/v1/orders", content=content, headers=headers)
    assert answer.status_code in (400, 422)
    assert set(answer.json()) >= {"code", "message"}


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/v1/nowhere", 404, {"code": "not_found", "message": "Not Found"}),
        ("/v1/orders", 405, {"code": "method_not_allowed", "message": "Method Not Allowed"}),
        ("/v1/gone", 410, {"code": "gone", "message": "It was here"}),
        (
            "/v1/taken",
            409,
            {
                "code": "taken",
                "message": "Somebody has it",
                "errors": [{"field": "id", "message": "in use"}],
            },
        ),
        (
            "/v1/broken",
            500,
            {"code": "internal_error", "message": "The request failed; it is logged."},
        ),
    ],
)
async def test_every_error_has_the_same_body(
    client: httpx.AsyncClient, path: str, status: int, body: object
):
    answer = await client.get(path, headers={"origin": ORIGIN})
    assert (answer.status_code, answer.json()) == (status, body)
    assert answer.headers["access-control-allow-origin"] == ORIGIN  # or no browser can read it


async def test_a_failing_request_is_logged_with_its_path(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
):
    await client.get("/v1/broken")
    (record,) = [record for record in caplog.records if record.name == "tapewire.service.guard"]
    assert vars(record)["path"] == "/v1/broken"
    assert record.exc_info


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/stream", "/v1/nowhere"])
async def test_a_body_that_says_it_is_too_large_is_refused(client: httpx.AsyncClient, path: str):
    answer = await client.post(path, content=b"x" * 200_000)
    assert answer.status_code == 413
    assert answer.json() == {"code": "too_large", "message": "The body may have 1000 bytes."}


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/stream"])
async def test_a_body_that_grows_too_large_is_refused(client: httpx.AsyncClient, path: str):
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"[" * 100

    headers = {"content-type": "application/json"}
    answer = await client.post(path, content=chunks(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_a_body_at_the_limit_is_taken(client: httpx.AsyncClient):
    assert (await client.post("/v1/stream", content=b"x" * 1000)).json() == 1000


async def test_only_listed_origins_may_call_from_a_browser(client: httpx.AsyncClient):
    ask = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,idempotency-key",
    }
    allowed = await client.options("/v1/orders", headers={"origin": ORIGIN} | ask)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    refused = await client.options("/v1/orders", headers={"origin": "http://evil.example"} | ask)
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


async def test_requests_are_measured_by_route_and_probes_are_not(client: httpx.AsyncClient):
    await client.post("/v1/orders", json=[])
    text = (await client.get("/metrics")).text
    mine = [line for line in text.splitlines() if "http_server_request_duration" in line]
    assert any('http_route="/v1/orders"' in line for line in mine)
    assert not any("/metrics" in line or "/healthz" in line for line in mine)


async def test_links_among_the_components_show_on_metrics():
    app = create_app(
        ServiceSettings(),
        service="test",
        components=[Link("amqp://127.0.0.1:1", role, name="test") for role in Role],
        title="Test",
        description="A test",
    )
    async with (
        running(app, app.state.settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        assert (await client.get("/readyz")).status_code == 503
        lines = (await client.get("/metrics")).text.splitlines()
        assert 'tapewire_broker_up{role="publish"} 0.0' in lines
        assert 'tapewire_broker_reconnects_total{role="consume"} 0.0' in lines
    assert b'tapewire_broker_up{role="publish"}' not in telemetry.exposition(None)[0]


async def test_metrics_are_had_in_both_formats(client: httpx.AsyncClient):
    assert (await client.get("/metrics")).headers["content-type"].startswith("text/plain")
    modern = await client.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert modern.headers["content-type"].startswith("application/openmetrics-text")
    assert modern.text.endswith("# EOF\n")


async def test_a_service_that_cannot_start_says_so():
    class Broken(Part):
        async def start(self) -> None:
            raise RuntimeError("no disk")

    app = create_app(
        ServiceSettings(), service="test", components=[Broken()], title="t", description="d"
    )
    with pytest.raises(RuntimeError, match="did not start"):
        async with running(app, app.state.settings):
            pass


def test_openapi_describes_the_error_body():
    schema = make().openapi()
    refused = schema["paths"]["/v1/orders"]["post"]["responses"]["422"]
    assert json.dumps(refused).count("ErrorBody") == 1
    assert "HTTPValidationError" not in json.dumps(schema)
