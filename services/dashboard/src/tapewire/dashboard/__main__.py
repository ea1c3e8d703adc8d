"""`python -m tapewire.dashboard`."""

from tapewire.dashboard.app import build
from tapewire.dashboard.settings import DashboardSettings
from tapewire.service import serve


def main() -> None:
    """Serve the dashboard until told to stop."""
    settings = DashboardSettings()
    serve(build(settings), settings)


if __name__ == "__main__":
    main()
