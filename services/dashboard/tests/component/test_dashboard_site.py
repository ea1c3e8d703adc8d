from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from tapewire.auth import AuthSettings, Verifier
from tapewire.dashboard.app import build
from tapewire.dashboard.settings import DashboardSettings
from tapewire.service.runner import running

SECRET = "a secret of more than thirty-two bytes"


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>Tapewire</title>")
    (tmp_path / "assets" / "index-abc.js").write_text("// " + "x" * 4096)
    return tmp_path


async def get(settings: DashboardSettings, path: str) -> httpx.Response:
    async with (
        running(build(settings), settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        return await client.get(path)


async def test_serves_the_application_and_lets_browsers_keep_what_has_a_hash(dist: Path) -> None:
    settings = DashboardSettings(dashboard_dist=dist)
    async with (
        running(build(settings), settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        page = await client.get("/")
        script = await client.get("/assets/index-abc.js")
        missing = await client.get("/assets/index-old.js")
    assert page.text == "<title>Tapewire</title>"
    assert page.headers["cache-control"] == "no-cache"
    assert "immutable" in script.headers["cache-control"]
    assert script.headers["content-encoding"] == "gzip"
    assert missing.status_code == 404
    assert "immutable" not in missing.headers.get("cache-control", "")


async def test_says_what_to_do_when_nothing_is_built(tmp_path: Path) -> None:
    settings = DashboardSettings(dashboard_dist=tmp_path / "dist")
    page = await get(settings, "/")
    ready = await get(settings, "/readyz")
    assert page.status_code == 503
    assert "npm run build" in page.text
    assert ready.status_code == 503


async def test_config_names_the_services_or_its_own_origin(dist: Path) -> None:
    alone = await get(DashboardSettings(dashboard_dist=dist), "/config.json")
    apart = await get(
        DashboardSettings(
            dashboard_dist=dist,
            dashboard_edge_urls=("http://127.0.0.1:8081", "http://127.0.0.1:8091"),
            dashboard_desk_url="http://127.0.0.1:8083",
        ),
        "/config.json",
    )
    assert alone.json()["edge"] == [""]
    assert alone.json()["demo"] is None
    assert apart.json()["edge"] == ["http://127.0.0.1:8081", "http://127.0.0.1:8091"]
    assert apart.json()["desk"] == "http://127.0.0.1:8083"


async def test_page_may_talk_to_the_configured_services_only(dist: Path) -> None:
    page = await get(
        DashboardSettings(dashboard_dist=dist, dashboard_edge_urls=("https://edge.example",)), "/"
    )
    policy = page.headers["content-security-policy"]
    assert "connect-src 'self' https://edge.example wss://edge.example;" in policy
    assert "frame-ancestors 'none'" in policy


async def test_demo_token_is_one_that_the_fleet_accepts(dist: Path) -> None:
    settings = DashboardSettings(dashboard_dist=dist, demo=True, jwt_secret=SECRET)
    verifier = Verifier.from_settings(AuthSettings(jwt_secret=SECRET))
    async with (
        running(build(settings), settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        reply = await client.post("/v1/demo/token", json={"userId": "alice"})
        nobody = await client.post("/v1/demo/token", json={"userId": "all"})
    claims = await verifier.verify(reply.json()["token"])
    assert claims.subject == "alice"
    assert claims.may("alerts:ack")
    assert not claims.may("events:write")
    assert reply.json()["expiresIn"] == 600
    assert nobody.status_code == 422


async def test_without_the_demo_nobody_gets_a_token(dist: Path) -> None:
    settings = DashboardSettings(dashboard_dist=dist, jwt_secret=SECRET)
    async with (
        running(build(settings), settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        reply = await client.post("/v1/demo/token", json={"userId": "alice"})
    assert reply.status_code in {404, 405}


def test_the_demo_needs_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAPEWIRE_JWT_SECRET", raising=False)
    with pytest.raises(ValidationError, match="TAPEWIRE_JWT_SECRET"):
        DashboardSettings(demo=True)
