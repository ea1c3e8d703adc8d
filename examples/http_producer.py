r"""A producer with nothing but the standard library: JSON posted to ``/v1/events``.

    python examples/http_producer.py [user]

The same with curl:

    curl -H "Authorization: Bearer $(tapewire token --user bot --scope events:write)" \
         -H "Content-Type: application/json" http://127.0.0.1:8082/v1/events \
         -d '{"type":"system_notification","userId":"alice","title":"Hi","message":"From curl."}'
"""

import json
import sys
import uuid
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from addresses import Addresses


def post(url: str, token: str, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Post events and return what became of each; safe to repeat, since each has an ``id``."""
    request = Request(
        f"{url}/v1/events",
        data=json.dumps(events).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urlopen(request, timeout=10) as response:
            return dict(json.load(response))
    except HTTPError as error:
        return dict(json.load(error))


def main(user: str) -> None:
    where = Addresses.find()
    token = where.token_now("http-producer", "events:write")
    notice = {"type": "system_notification", "userId": user, "title": "From urllib"}
    events = [
        {**notice, "id": str(uuid.uuid4()), "message": "Nothing but JSON and HTTP."},
        {**notice, "id": str(uuid.uuid4()), "level": "urgent", "message": "No such level."},
    ]
    answer = post(where.need("ingest"), token, events)
    print(json.dumps(answer, indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["alice"])
