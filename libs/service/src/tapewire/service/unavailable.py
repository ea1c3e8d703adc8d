"""What HTTP clients hear while a service's database is away: 503, and when to ask again."""

import logging

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tapewire.service.errors import ErrorBody, error_response

log = logging.getLogger(__name__)

RETRY_AFTER_S = 2
OUR_FAULT = (IntegrityError, DataError, ProgrammingError)
"""What a database refuses that is there: a 500, in the log with its traceback."""


def say_unavailable(app: FastAPI) -> None:
    """Answer 503 `unavailable` with `Retry-After` where a route finds no database."""
    for error in (DBAPIError, PoolTimeout, OSError):
        app.add_exception_handler(error, _on_database_error)


async def _on_database_error(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, OUR_FAULT):
        raise error
    log.warning("database: %s", error)
    body = ErrorBody(code="unavailable", message="The database does not answer at the moment.")
    return error_response(503, body, {"Retry-After": str(RETRY_AFTER_S)})
