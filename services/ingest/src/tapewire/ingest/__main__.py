"""`python -m tapewire.ingest`."""

from tapewire.auth import AuthSettings
from tapewire.ingest.app import build
from tapewire.ingest.settings import IngestSettings
from tapewire.service import serve


def main() -> None:
    """Run ingest until it is told to stop."""
    settings = IngestSettings()
    serve(build(settings, AuthSettings()), settings)


if __name__ == "__main__":
    main()
