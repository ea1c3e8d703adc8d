"""``python -m tapewire.edge``: run the edge until it is told to stop."""

from tapewire.auth import AuthSettings
from tapewire.edge.app import build, server_options
from tapewire.edge.settings import EdgeSettings
from tapewire.service import serve


def main() -> None:
    """Read the settings and serve."""
    settings = EdgeSettings()
    serve(build(settings, AuthSettings()), settings, **server_options(settings))


if __name__ == "__main__":
    main()
