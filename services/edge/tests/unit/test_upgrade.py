import pytest
from websockets.frames import Frame, Opcode

from tapewire.edge.transport.upgrade import MAX_HEADER_BYTES, MAX_HEADERS, Upgrade

# The example of RFC 6455, §1.3.
KEY, ANSWER = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
ASKS = {
    b"host": b"desk.example",
    b"connection": b"keep-alive, Upgrade",
    b"upgrade": b"websocket",
    b"sec-websocket-key": KEY,
    b"sec-websocket-version": b"13",
}
DEFLATE = b"sec-websocket-extensions"


def upgrade(headers=ASKS, *, method="GET", target=b"/ws", version="1.1", deflate=True, more=()):
    lines = [*headers.items(), *more]
    return Upgrade(method, target, version, lines, max_size=100, deflate=deflate)


def test_a_valid_request_is_answered_and_frames_follow():
    asked = upgrade()
    assert asked.refusal is None
    answer = asked.accept([(b"date", b"today")], "tapewire.v1")
    head, *lines = answer.split(b"\r\n")
    assert head == b"HTTP/1.1 101 Switching Protocols"
    assert set(lines) == {
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + ANSWER,
        b"Sec-WebSocket-Protocol: tapewire.v1",
        b"date: today",
        b"",
    }
    asked.conn.receive_data(Frame(Opcode.TEXT, b"hello").serialize(mask=True))
    [frame] = asked.conn.events_received()
    assert (frame.opcode, bytes(frame.data)) == (Opcode.TEXT, b"hello")


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (405, {"method": "POST"}),
        (505, {"version": "1.0"}),
        (400, {"target": "/ẅs".encode()}),
        (400, {"more": [(b"content-length", b"5")]}),
        (400, {"more": [(b"transfer-encoding", b"chunked")]}),
        (400, {"more": [(b"sec-websocket-key", KEY)]}),
        (431, {"more": [(b"x-%d" % n, b"") for n in range(MAX_HEADERS)]}),
        (431, {"more": [(b"x", b"y" * MAX_HEADER_BYTES)]}),
    ],
)
def test_what_is_no_handshake_is_refused_with_its_status(status, changes):
    refusal = upgrade(**changes).refusal
    assert refusal is not None
    assert refusal.status_code == status


@pytest.mark.parametrize(
    ("status", "name", "value"),
    [
        (400, b"sec-websocket-key", b"too short"),
        (400, b"sec-websocket-key", None),
        (400, b"sec-websocket-version", b"8"),
        (426, b"upgrade", b"h2c"),
        (426, b"connection", b"close"),
    ],
)
def test_a_header_that_is_wrong_or_missing_is_refused(status, name, value):
    headers = ASKS | {name: value} if value is not None else {**ASKS}
    if value is None:
        del headers[name]
    refusal = upgrade(headers).refusal
    assert refusal is not None
    assert refusal.status_code == status


@pytest.mark.parametrize(
    ("offer", "compressed", "keeps_window"),
    [
        (None, False, False),
        (b"permessage-deflate", True, True),
        (b"permessage-deflate; server_no_context_takeover", True, False),
        (b"x-odd", False, False),
    ],
)
def test_compression_is_agreed_as_it_is_offered(offer, compressed, keeps_window):
    more = [] if offer is None else [(DEFLATE, offer)]
    asked = upgrade(more=more)
    assert (asked.compressed, asked.keeps_window) == (compressed, keeps_window)
    assert (b"permessage-deflate" in asked.accept([], None)) is compressed
    refused = upgrade(more=more, deflate=False)
    assert not refused.compressed
    assert b"permessage-deflate" not in refused.accept([], None)
