"""The contracts as JSON Schema, for those who do not speak Python.

``python -m tapewire.contracts.schema DIRECTORY`` writes it; ``--check`` says whether what is
there is up to date (exit status 1 if it is not).
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tapewire.contracts.catalogue import EVENT_TYPES, AnyEvent
from tapewire.contracts.frames import ClientFrame, CloseCode, ServerFrame


def schemas() -> dict[str, dict[str, Any]]:
    """Return file name → JSON Schema (2020-12): events, client frames, server frames.

    Each event's definition says its class of service (``x-quality``) and whether clients see it
    (``x-shown``).
    """
    parts: dict[str, Any] = {
        "events": AnyEvent,
        "client-frames": ClientFrame,
        "server-frames": ServerFrame,
    }
    out: dict[str, dict[str, Any]] = {
        f"{name}.schema.json": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": f"Tapewire {name.replace('-', ' ')}",
        }
        | TypeAdapter[Any](part).json_schema(by_alias=True)
        for name, part in parts.items()
    }
    events = out["events.schema.json"]["$defs"]
    for model in EVENT_TYPES.values():
        events[model.__name__] |= {"x-quality": model.quality.value, "x-shown": model.shown}
    return out


def files() -> dict[str, str]:
    """Return file name → text of all that is exported: the schemas and the close codes."""
    texts = {name: _json(schema) for name, schema in schemas().items()}
    texts["close-codes.json"] = _json({code.name.lower(): code.value for code in CloseCode})
    return texts


def drift(directory: Path) -> list[str]:
    """Return the names of the files in ``directory`` that are not what the models say."""
    return [
        name
        for name, text in files().items()
        if not (directory / name).is_file() or (directory / name).read_text() != text
    ]


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the schemas, or check them."""
    parser = argparse.ArgumentParser(prog="python -m tapewire.contracts.schema")
    parser.add_argument("directory", type=Path)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 on a difference"
    )
    options = parser.parse_args()
    if options.check:
        stale = drift(options.directory)
        print("\n".join(f"out of date: {name}" for name in stale) or "up to date")
        return 1 if stale else 0
    options.directory.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (options.directory / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
