import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tapewire.auth import mint
from tapewire.service import ServiceSettings, telemetry
from tapewire.service.logs import configure, redact

TOKEN = mint("a secret of the test, more than 32 bytes", "alice")


@pytest.fixture(autouse=True)
def _root() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    logging.captureWarnings(False)


def lines(format: Any, log: Any) -> list[str]:
    stream = io.StringIO()
    configure(ServiceSettings(log_format=format), "ingest", stream)
    log(logging.getLogger("tapewire.test"))
    return stream.getvalue().splitlines()


def test_a_json_log_is_one_object_a_line():
    (line,) = lines("json", lambda log: log.warning("event %s", "x", extra={"count": 2, "a": {1}}))
    entry = json.loads(line)
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "level": "WARNING",
        "service": "ingest",
        "logger": "tapewire.test",
        "message": "event x",
        "count": 2,
        "a": [1],
    }


def test_an_exception_keeps_to_its_line():
    def fail(log: logging.Logger) -> None:
        try:
            raise ValueError("broken amqp://u:hunter2@host/")
        except ValueError:
            log.exception("failed")

    (line,) = lines("json", fail)
    assert "ValueError: broken amqp://u:[redacted]@host/" in json.loads(line)["exception"]


def test_a_message_cannot_forge_a_line():
    (line,) = lines("json", lambda log: log.info("a\nb"))
    assert json.loads(line)["message"] == "a\nb"
    (line,) = lines("console", lambda log: log.info("x", extra={"path": "/a\n12:00 INFO \x1b[31m"}))
    assert "\\n12:00" in line
    assert "\x1b" not in line


def test_a_log_inside_a_span_names_its_trace():
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}

    def inside(log: logging.Logger) -> None:
        with telemetry.span("test", headers=headers):
            log.info("x")

    (line,) = lines("json", inside)
    assert json.loads(line)["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_a_console_log_is_for_people():
    (line,) = lines("console", lambda log: log.warning("slow", extra={"queue": "a b", "n": 1}))
    _, _, rest = line.partition(" ")
    assert rest == "WARNING ingest    slow  queue='a b'  n=1"


@pytest.mark.parametrize("format", ["json", "console"])
def test_secrets_stand_in_no_log(format: str):
    extra = {
        "token": TOKEN,
        "url": "amqp://tapewire:hunter2@broker:5672/",
        "headers": {"Authorization": "Basic aHVudGVyMg==", "list": [f"Bearer {TOKEN}"]},
    }
    (line,) = lines(
        format,
        lambda log: log.info(
            "got %s from %s", TOKEN, "tapewire.v1, bearer.abcdefghijkl", extra=extra
        ),
    )
    for secret in (TOKEN, TOKEN.split(".")[1], "hunter2", "aHVudGVyMg", "abcdefghijkl"):
        assert secret not in line
    assert "amqp://tapewire:[redacted]@broker:5672/" in line


def test_what_is_no_secret_stays():
    text = "alice at http://127.0.0.1:8080/v1?x=1 token expired, alerts@example.org, http://a:1"
    assert redact(text) == text


def test_warnings_of_the_interpreter_are_logged():
    import warnings

    def warn(_: object) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            warnings.warn("old", DeprecationWarning, stacklevel=1)

    (line,) = lines("json", warn)
    assert json.loads(line)["logger"] == "py.warnings"
