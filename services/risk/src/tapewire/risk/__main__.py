"""`python -m tapewire.risk` runs the service."""

from tapewire.auth import AuthSettings
from tapewire.risk.app import build
from tapewire.risk.settings import RiskSettings
from tapewire.service import serve


def main() -> None:
    """Run risk until it is told to stop."""
    settings = RiskSettings()
    serve(build(settings, AuthSettings()), settings)


if __name__ == "__main__":
    main()
