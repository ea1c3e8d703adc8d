"""What the dashboard is told from outside."""

from pathlib import Path

from pydantic import Field, SecretStr, model_validator

from tapewire.service import ServiceSettings
from tapewire.service.settings import CommaList

SOURCE_DIST = Path(__file__).resolve().parents[3] / "dist"  # services/dashboard/dist of a work tree


class DashboardSettings(ServiceSettings):
    """Settings of the dashboard; `TAPEWIRE_DASHBOARD_EDGE_URLS` and so on.

    A URL that is left out means: at the dashboard's own origin, behind the same proxy.
    """

    http_port: int = Field(default=8080, ge=0, le=65535)
    dashboard_dist: Path = SOURCE_DIST
    """Where `npm run build` put the application."""
    dashboard_edge_urls: CommaList = ()
    """HTTP bases of the edges, such as `http://127.0.0.1:8081`; their sockets are at `/ws`."""
    dashboard_ingest_url: str = ""
    dashboard_desk_url: str = ""
    dashboard_risk_url: str = ""
    dashboard_market_url: str = ""
    demo: bool = False
    """Gives a trader's token to whoever asks. Never where strangers can reach it."""
    demo_user: str = "alice"
    demo_token_ttl_s: int = Field(default=600, gt=0)
    jwt_secret: SecretStr | None = None
    jwt_issuer: str = "tapewire"
    jwt_audience: str = "tapewire"

    @model_validator(mode="after")
    def _demo_needs_a_secret(self) -> "DashboardSettings":
        if self.demo and self.jwt_secret is None:
            raise ValueError("TAPEWIRE_DEMO=1 signs tokens: set TAPEWIRE_JWT_SECRET")
        return self
