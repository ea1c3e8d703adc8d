"""Where this machine has RabbitMQ."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

# Debian's /usr/sbin/rabbitmq-server changes to the user rabbitmq and to the system's own data
# directory; the script that it wraps does neither.
SERVER_SCRIPTS = (
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/opt/rabbitmq/sbin/rabbitmq-server",
    "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
    "/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
)


@dataclass(frozen=True)
class Installation:
    """Where RabbitMQ is: the server script and Erlang's `erl_call`."""

    server: Path
    erl_call: Path

    @classmethod
    def find(cls, path: str | None = None) -> Installation | None:
        """The installation on this machine, or None; `path` is searched as `$PATH` is."""
        on_path = shutil.which("rabbitmq-server", path=path)
        candidates = [Path(script) for script in SERVER_SCRIPTS]
        if on_path and not on_path.startswith(("/usr/sbin/", "/sbin/", "/usr/bin/")):
            candidates.insert(0, Path(on_path).resolve())
        server = next((script for script in candidates if os.access(script, os.X_OK)), None)
        erl_call = _find_erl_call(path)
        return cls(server, erl_call) if server and erl_call else None


def _find_erl_call(path: str | None) -> Path | None:
    on_path = shutil.which("erl_call", path=path)
    if on_path:
        return Path(on_path)
    erl = shutil.which("erl", path=path)
    if erl is None:
        return None
    root = Path(erl).resolve().parent.parent
    found = [*root.glob("erts-*/bin/erl_call"), *root.glob("lib/erl_interface-*/bin/erl_call")]
    found += [*root.glob("lib/erlang/lib/erl_interface-*/bin/erl_call")]
    return found[0] if found else None
