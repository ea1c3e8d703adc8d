"""``python -m tapewire.edge [--workers N]``: run the edge until it is told to stop."""

import argparse
import gc
import logging
import os
import sys

from tapewire.auth import AuthSettings
from tapewire.edge import workers
from tapewire.edge.app import build, server_options
from tapewire.edge.runtime import files
from tapewire.edge.settings import EdgeSettings
from tapewire.service import logs, serve

log = logging.getLogger(__name__)


def main() -> None:
    """Read the settings and serve; or run the workers that do."""
    settings = EdgeSettings()
    parser = argparse.ArgumentParser(prog="python -m tapewire.edge", description=__doc__)
    parser.add_argument(
        "--workers",
        type=int,
        default=settings.edge_workers,
        help="processes behind one port (TAPEWIRE_EDGE_WORKERS)",
    )
    asked = parser.parse_args()
    auth = AuthSettings()  # said to be wrong here, not once by each worker
    number = os.environ.get(workers.WORKER)
    if number is None and asked.workers > 1:
        if settings.http_port == 0:
            parser.error("workers share a port, so it cannot be 0")
        logs.configure(settings, "edge")
        sys.exit(workers.supervise(asked.workers))
    if number is not None:
        workers.end_with_parent()
    logs.configure(settings, "edge")
    if (room := files.room()) < settings.edge_connections:
        log.warning("fewer open files allowed than connections", extra={"connections": room})
        settings = settings.model_copy(update={"edge_connections": room})
    app = build(settings, auth)
    # Connections are long-lived: the collector's default would walk all of them every few
    # thousand allocations, and find nothing.
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    serve(app, settings, share_port=number is not None, **server_options(settings))


if __name__ == "__main__":
    main()
