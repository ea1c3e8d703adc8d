"""`python -m tapewire.market` runs the service."""

from tapewire.auth import AuthSettings
from tapewire.market.app import build
from tapewire.market.settings import MarketSettings
from tapewire.service import serve


def main() -> None:
    """Run market until it is told to stop."""
    settings = MarketSettings()
    serve(build(settings, AuthSettings()), settings)


if __name__ == "__main__":
    main()
