"""The door for HTTP producers: `POST /v1/events`."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field, JsonValue
from pydantic_core import to_json

from tapewire.auth import Claims, require
from tapewire.contracts import new_id
from tapewire.ingest.amqp import count
from tapewire.ingest.batch import MAX_EVENTS, UnreadableBody, read
from tapewire.ingest.intake import Intake, Result, Status, untaken
from tapewire.ingest.judgement import Judged, judge
from tapewire.ingest.openapi import REQUEST_BODY
from tapewire.service import ApiError, ErrorBody, FieldProblem

RETRY_AFTER_S: Final = 2  # a link that was lost is tried again within 0.2 to 5 s


class EventResult(BaseModel):
    """What became of one event. `index`: its place in the request, from 0."""

    index: int
    status: Literal["accepted", "duplicate", "rejected", "unconfirmed"]
    id: str | None = Field(description="The event's id, or the one it was given.")
    errors: list[FieldProblem]


class Report(BaseModel):
    """What became of each event of a request, in its order."""

    results: list[EventResult]


class FailedReport(Report):
    """The same, where the request as a whole did not succeed."""

    code: Literal["invalid_event", "forbidden", "unavailable"]
    message: str
    errors: list[FieldProblem] = Field(description="Those of a single event.")


DESCRIPTION: Final = f"""
Send one event as a JSON object, or up to {MAX_EVENTS} as a JSON array or as NDJSON
(`application/x-ndjson`). The answer comes when the broker has confirmed the events, and says of
each what became of it:

| status | meaning | what to do |
|---|---|---|
| `accepted` | the broker has it | nothing |
| `duplicate` | this `id` of this `userId` was taken before | nothing |
| `rejected` | `errors` names the fields | mend it |
| `unconfirmed` | the broker was away: it may or may not have it | send it again, same `id` |

Every event is judged by itself: one that is rejected keeps no other from being taken. Those of a
request are published in its order.
"""

RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": Report, "description": "Every event is accepted or a duplicate"},
    207: {"model": Report, "description": "Some events are rejected, the others are taken"},
    401: {"model": ErrorBody, "description": "No token, or one that is not accepted"},
    403: {"model": FailedReport, "description": "The token lacks a scope"},
    413: {
        "model": ErrorBody,
        "description": f"The body is too large, or has more than {MAX_EVENTS} events",
    },
    422: {"model": FailedReport, "description": "No event is taken; for a batch, none of it"},
    503: {
        "model": FailedReport,
        "description": "The broker was away: send the events that are `unconfirmed` again",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}},
    },
}


def routes(intake: Intake, *, closed: Callable[[], str | None]) -> APIRouter:
    """Return the routes of the HTTP door.

    Args:
        intake: takes the events.
        closed: the reason why none can be taken now, or None. It must hold until everything is
            declared that keeps a critical alert: an alert published before that is confirmed
            and lost.
    """
    router = APIRouter(prefix="/v1", tags=["events"])

    @router.post(
        "/events",
        summary="Publish events",
        description=DESCRIPTION,
        response_model=Report,
        responses=RESPONSES,
        openapi_extra={"requestBody": REQUEST_BODY},
    )
    async def post_events(
        request: Request, claims: Annotated[Claims, Depends(require("events:write"))]
    ) -> Response:
        try:
            batch = read(await request.body(), request.headers.get("content-type", ""))
        except UnreadableBody as error:
            raise ApiError(
                error.status, error.code, str(error), [FieldProblem(field="", message=str(error))]
            ) from None
        judged = judge_all(batch.items, may_notify_everyone=claims.may("notices:write"))
        if (reason := closed()) is not None:
            results = [untaken(one, reason) for one in judged]
        else:
            results = await intake.take_all(judged)
        for status, many in Counter(result.status for result in results).items():
            count(status, "http", many)
        return answer(results, single=batch.single)

    return router


def judge_all(items: Sequence[bytes | JsonValue], *, may_notify_everyone: bool) -> list[Judged]:
    """Judge every event of a request; those without a timestamp get the same one."""
    now = datetime.now(UTC)
    return [
        judge(item, now=lambda: now, make_id=new_id, may_notify_everyone=may_notify_everyone)
        for item in items
    ]


def answer(results: Sequence[Result], *, single: bool) -> Response:
    """Return the response: the status of the whole, and what became of each."""
    body: dict[str, Any] = {"results": [{"index": i} | r.as_json() for i, r in enumerate(results)]}
    status, code, message = _verdict(results, single=single)
    headers: dict[str, str] = {}
    if code:
        errors = body["results"][0]["errors"] if single else []
        body = {"code": code, "message": message, "errors": errors} | body
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return Response(to_json(body), status, headers, media_type="application/json")


def _verdict(results: Sequence[Result], *, single: bool) -> tuple[int, str, str]:
    """Return status, code and message of the whole."""
    statuses = {result.status for result in results}
    if Status.UNCONFIRMED in statuses:
        waiting = sum(result.status is Status.UNCONFIRMED for result in results)
        message = f"{waiting} of {len(results)} not confirmed by the broker; send them again"
        return 503, "unavailable", message
    if Status.REJECTED not in statuses:
        return 200, "", ""
    if statuses != {Status.REJECTED}:
        return 207, "", ""
    if all(result.forbidden for result in results):
        return 403, "forbidden", results[0].errors[0].message
    if single:
        message = "; ".join(f"{e.field}: {e.message}" for e in results[0].errors[:3])
        return 422, "invalid_event", message
    return 422, "invalid_event", f"all {len(results)} events are rejected"
