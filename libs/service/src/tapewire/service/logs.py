"""Logs: one JSON object a line for machines, a readable line for people, secrets in neither."""

import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
from opentelemetry import trace

from tapewire.service.settings import ServiceSettings

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
_SECRET_NAME = re.compile(r"(?i)(token|secret|password|passwd|authorization|cookie|api_?key)")
_REDACTIONS = (
    # JSON Web Tokens, wherever they stand (RFC 7519 §3.1: three base64url parts)
    (re.compile(r"eyJ[\w-]{5,}\.[\w-]*\.[\w-]*"), "[token]"),
    # the password of a URL
    (re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+@"), r"\1[redacted]@"),
    # a bearer token that is no JWT, in a header or in a WebSocket subprotocol
    (re.compile(r"(?i)\b(bearer[ .])[\w.~+/=-]{8,}"), r"\1[redacted]"),
    # name=value and "name": "value"
    (
        re.compile(
            r"(?i)(\b[\w-]*(?:secret|password|passwd)[\w-]*[\"']?\s*[=:]\s*[\"']?)[^\s,\"'&]+"
        ),
        r"\1[redacted]",
    ),
)


def redact(text: str) -> str:
    """Return the text without tokens, passwords of URLs and values of secrets."""
    for pattern, replacement in _REDACTIONS:
        text = pattern.sub(replacement, text)
    return text


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what the caller gave as `extra=`; values under a secret's name are hidden."""
    return {
        key: "[redacted]" if _SECRET_NAME.search(key) else value
        for key, value in vars(record).items()
        if key not in _STANDARD and not key.startswith("_")
    }


def _trace(record: logging.LogRecord) -> str | None:
    if record.exc_info and record.exc_info[0] is not None:
        return "".join(traceback.format_exception(*record.exc_info)).rstrip()
    return None


class JsonFormatter(logging.Formatter):
    """`{"time","level","service","logger","message", …extra, "trace_id"?, "exception"?}`."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            entry["trace_id"] = trace.format_trace_id(context.trace_id)
            entry["span_id"] = trace.format_span_id(context.span_id)
        for key, value in _fields(record).items():
            entry.setdefault(key, value)
        if exception := _trace(record):
            entry["exception"] = exception
        line = orjson.dumps(entry, default=str, option=orjson.OPT_NON_STR_KEYS)
        return redact(line.decode())


class ConsoleFormatter(logging.Formatter):
    """`12:00:01.250 WARNING ingest  event rejected  reason=…`, coloured on a terminal."""

    _COLOURS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31;1", "DEBUG": "2"}  # noqa: RUF012

    def __init__(self, service: str, *, colour: bool) -> None:
        super().__init__()
        self._service = service
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and the trace of an exception below it."""
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        fields = "".join(f"  {key}={value}" for key, value in _fields(record).items())
        level = f"{record.levelname:<7}"
        if self._colour and (code := self._COLOURS.get(record.levelname)):
            level = f"\x1b[{code}m{level}\x1b[0m"
        line = f"{time} {level} {self._service:<9} {record.getMessage()}{fields}"
        if exception := _trace(record):
            line = f"{line}\n{exception}"
        return redact(line)


def configure(settings: ServiceSettings, service: str, stream: TextIO | None = None) -> None:
    """Send this process's logs to `stream` (standard error by default), and nothing else."""
    stream = stream or sys.stderr
    formatter: logging.Formatter
    if settings.log_format == "json":
        formatter = JsonFormatter(service)
    else:
        formatter = ConsoleFormatter(service, colour=stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for chatty in ("aio_pika", "aiormq", "httpx", "httpcore", "aiosqlite", "sqlalchemy.pool"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
