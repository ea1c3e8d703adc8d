"""What the end of a connection means."""

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response

from tapewire.client import ConnectionStopped, Replaced, TokenRefused
from tapewire.client.endings import Ending, ending_of


def closed(code: int, reason: str = "", *, renewable: bool = True) -> Ending:
    return ending_of(ConnectionClosedError(Close(code, reason), None), renewable_token=renewable)


def refused(status: int) -> Ending:
    return ending_of(InvalidStatus(Response(status, "", Headers())), renewable_token=True)


@pytest.mark.parametrize(
    "code", [4000, 4001, 4003, 4004, 4005, 4006, 4007, 4042, 1001, 1011, 1012, 1013]
)
def test_trouble_of_the_server_is_no_reason_to_stop(code: int) -> None:
    assert closed(code).stop is None


def test_connection_lost_without_a_close_is_1006_and_no_reason_to_stop() -> None:
    ending = ending_of(ConnectionClosedError(None, None), renewable_token=True)
    assert (ending.code, ending.stop) == (1006, None)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(4500, TokenRefused), (4506, Replaced), (4505, ConnectionStopped), (4599, ConnectionStopped)],
)
def test_stop_names_the_code_and_the_servers_words(
    code: int, kind: type[ConnectionStopped]
) -> None:
    stop = closed(code, "because").stop
    assert type(stop) is kind
    assert stop.code == code
    assert str(code) in str(stop)
    assert "because" in str(stop)


def test_message_too_big_and_protocol_errors_stop() -> None:
    assert all(closed(code).stop is not None for code in (1000, 1002, 1003, 1007, 1008, 1009))


def test_expired_or_revoked_token_that_nobody_can_renew_stops() -> None:
    assert isinstance(closed(4004, renewable=False).stop, TokenRefused)
    assert isinstance(closed(4007, renewable=False).stop, TokenRefused)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_handshake_refused_for_now_is_tried_again(status: int) -> None:
    assert refused(status) == Ending(f"handshake refused with HTTP {status}", status)


@pytest.mark.parametrize(
    ("status", "kind"), [(401, TokenRefused), (403, TokenRefused), (404, ConnectionStopped)]
)
def test_handshake_refused_for_good_stops(status: int, kind: type[ConnectionStopped]) -> None:
    assert type(refused(status).stop) is kind


def test_network_errors_are_tried_again() -> None:
    for error in (OSError("no route"), TimeoutError(), EOFError()):
        assert ending_of(error, renewable_token=False).stop is None
