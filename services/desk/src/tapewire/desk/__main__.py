"""`python -m tapewire.desk`."""

from tapewire.auth import AuthSettings
from tapewire.desk.app import build
from tapewire.desk.settings import DeskSettings
from tapewire.service import serve


def main() -> None:
    """Run desk until it is told to stop."""
    settings = DeskSettings()
    serve(build(settings, AuthSettings()), settings)


if __name__ == "__main__":
    main()
