"""The dashboard's server, composed."""

from fastapi import APIRouter, FastAPI
from starlette.middleware.gzip import GZipMiddleware

from tapewire.dashboard import demo
from tapewire.dashboard.settings import DashboardSettings
from tapewire.dashboard.site import SafeHeaders, Site
from tapewire.service import create_app

DESCRIPTION = """\
Serves the trader's dashboard. It keeps nothing and consumes nothing: the page in the browser talks
to the edge and to the desk.
"""
GZIP_FROM = 1024  # bytes; below it the header costs more than it saves


class Build:
    """Whether there is an application to serve, as a component's health."""

    name = "site"

    def __init__(self, site: Site) -> None:
        self._site = site

    async def start(self) -> None:
        """Nothing to start."""

    async def drain(self) -> None:
        """Nothing to drain."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def health(self) -> str | None:
        """Return None once it was built."""
        return None if self._site.is_built() else "not built: npm ci && npm run build"


def build(settings: DashboardSettings) -> FastAPI:
    """Return the application."""
    site = Site(settings.dashboard_dist)
    routers = [_config(settings)]
    if settings.demo:
        routers.append(demo.routes(settings))
    app = create_app(
        settings,
        service="dashboard",
        components=(Build(site),),
        routers=routers,
        title="Tapewire dashboard",
        description=DESCRIPTION,
    )
    app.mount("/", site)
    elsewhere = (
        *settings.dashboard_edge_urls,
        settings.dashboard_ingest_url,
        settings.dashboard_desk_url,
        settings.dashboard_risk_url,
        settings.dashboard_market_url,
    )
    app.add_middleware(SafeHeaders, connect=elsewhere)
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_FROM)
    return app


def _config(settings: DashboardSettings) -> APIRouter:
    config: dict[str, object] = {
        "edge": list(settings.dashboard_edge_urls) or [""],
        "ingest": settings.dashboard_ingest_url,
        "desk": settings.dashboard_desk_url,
        "risk": settings.dashboard_risk_url,
        "market": settings.dashboard_market_url,
        "demo": {"userId": settings.demo_user} if settings.demo else None,
    }
    router = APIRouter(tags=["dashboard"])

    @router.get("/config.json", summary="Where the services are, as HTTP bases; empty: here")
    async def config_json() -> dict[str, object]:
        return config

    return router
