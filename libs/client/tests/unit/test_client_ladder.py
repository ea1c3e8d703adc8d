"""Which way is tried next."""

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidHandshake, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response

from tapewire.client.endings import Ending, ending_of
from tapewire.client.ladder import Ladder, is_blocked

CUT = ConnectionClosedError(None, None)


def status(code: int) -> InvalidStatus:
    return InvalidStatus(Response(code, "", Headers()))


def fail(ladder: Ladder, error: Exception) -> Ending:
    return ladder.failed(error, ending_of(error, renewable_token=True))


def said(ending: Ending) -> tuple[str, int | None, str]:
    """Exceptions are equal to themselves only."""
    return ending.reason, ending.code, repr(ending.stop)


@pytest.mark.parametrize("error", [status(403), status(405), status(502), InvalidHandshake(), CUT])
def test_what_a_proxy_refuses_is_tried_by_stream_then_by_polls(error: Exception) -> None:
    ladder = Ladder()
    ways = []
    for _ in range(4):
        ways.append(ladder.way)
        last = fail(ladder, error)
    assert ways == ["websocket", "websocket", "sse", "long-poll"]
    assert ladder.way == "websocket"
    assert said(last) == said(
        ending_of(error, renewable_token=True)
    )  # what the WebSocket was told is final


def test_a_refusal_does_not_stop_while_there_is_another_way() -> None:
    ladder = Ladder()
    assert [fail(ladder, status(403)).stop is None for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("away", [status(502), CUT, TimeoutError()])
@pytest.mark.parametrize("refused", ["websocket", "sse", "long-poll"])
def test_a_proxy_that_refuses_one_way_ends_nothing_while_the_edge_is_away(
    away: Exception, refused: str
) -> None:
    ladder = Ladder()
    for _ in range(40):
        error = status(403) if ladder.way == refused else away
        assert fail(ladder, error).stop is None


def test_refusals_from_before_it_worked_count_no_more() -> None:
    ladder = Ladder()
    for _ in range(3):
        fail(ladder, status(403))
    assert ladder.way == "long-poll"
    ladder.opened()
    assert fail(ladder, status(403)).stop is None


@pytest.mark.parametrize(
    "error",
    [
        status(401),
        status(503),
        ConnectionRefusedError(),
        ConnectionClosedError(Close(4500, "invalid token"), None),
    ],
)
def test_what_the_edge_says_and_an_edge_that_is_not_there_change_no_way(error: Exception) -> None:
    ladder = Ladder()
    for _ in range(5):
        assert said(fail(ladder, error)) == said(ending_of(error, renewable_token=True))
    assert ladder.way == "websocket"
    assert not is_blocked(error)


def test_two_have_to_fail_in_a_row() -> None:
    ladder = Ladder()
    for _ in range(3):
        fail(ladder, CUT)
        ladder.opened()
    assert ladder.way == "websocket"


def test_what_works_is_kept_until_a_websocket_passes_again() -> None:
    ladder = Ladder()
    for _ in range(3):
        fail(ladder, TimeoutError())
    ladder.opened()
    assert ladder.way == "long-poll"
    ladder.back()
    assert ladder.way == "websocket"


def test_without_fallback_there_is_one_way() -> None:
    ladder = Ladder(climbs=False)
    assert fail(ladder, status(403)).stop is not None
    assert ladder.way == "websocket"
