"""Errors of the HTTP surface: one body shape for all of them.

`{"code": "not_found", "message": "…"}`, and `errors: [{"field", "message"}]` where fields are
at fault. Raise `ApiError`; FastAPI's own errors are turned into this
body here, unexpected ones in `guard`.
"""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException


class FieldProblem(BaseModel):
    """One field at fault. `field` is a dotted path such as `0.data.currentPnL`."""

    model_config = ConfigDict(frozen=True)

    field: str
    message: str


class ErrorBody(BaseModel):
    """The JSON body of every error response; `errors` is left out when there are none."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    errors: tuple[FieldProblem, ...] = ()


class ApiError(HTTPException):
    """An error that a client is meant to read.

    Args:
        status: HTTP status, 4xx or 5xx.
        code: stable word for programs, such as `unknown_session`.
        message: sentence for people.
        errors: fields at fault.
        headers: further response headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        errors: Iterable[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        body = ErrorBody(code=code, message=message, errors=tuple(errors))
        super().__init__(status, message, dict(headers) if headers else None)
        self.body = body


def error_response(
    status: int, body: ErrorBody, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the response that carries an error body."""
    return JSONResponse(body.model_dump(exclude_defaults=True), status, headers=headers)


def code_of(status: int) -> str:
    """Return the default code of a status: 404 → `not_found`."""
    try:
        return HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
    except ValueError:
        return "error"


def field_problems(errors: Sequence[Mapping[str, Any]]) -> list[FieldProblem]:
    """Turn pydantic's error list into field problems; `body` is no part of the path."""
    return [FieldProblem(field=_path(error["loc"]), message=str(error["msg"])) for error in errors]


def _path(location: Sequence[str | int]) -> str:
    parts = list(location)
    if parts and parts[0] in ("body", "query", "path", "header", "cookie"):
        parts = parts[1:]
    return ".".join(str(part) for part in parts) or "body"


async def _on_http_exception(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error, ApiError):
        body = error.body
    else:
        body = ErrorBody(code=code_of(error.status_code), message=str(error.detail))
    return error_response(error.status_code, body, error.headers)


async def _on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = field_problems(error.errors())
    message = "; ".join(f"{p.field}: {p.message}" for p in problems[:3])
    body = ErrorBody(code="invalid", message=message, errors=tuple(problems))
    return error_response(422, body)


def install(app: FastAPI) -> None:
    """Give an application these error bodies."""
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
