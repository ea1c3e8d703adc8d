"""`tapewire token revoke` without a fleet: what it understands, and what it asks an edge for."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import jwt
import pytest
from typer.testing import CliRunner

from tapewire.auth import mint
from tapewire.cli.app import app
from tapewire.cli.console import Failure
from tapewire.cli.revoke import named

SECRET = "a-secret-of-at-least-thirty-two-bytes"


@pytest.fixture
def edge():
    """Answers as an edge does; `asked` has what came."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.asked.append((self.path, self.headers["Authorization"], body))
            refused = body.get("userId") == "nobody"
            said = body | {"until": "2027-01-01T00:00:00Z", "revokedBy": "ops"}
            said.setdefault("issuedBefore", "2026-03-02T09:00:00Z")
            answer = {"message": "Not today."} if refused else said
            self.send_response(403 if refused else 202)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def revoke(edge):
    def run(*arguments, **more):
        given = ["--edge", edge.url, "--token", "mine", *arguments]
        return CliRunner().invoke(app, ["token", "revoke", *given], **more)

    return run


def test_a_token_names_itself_and_its_end(edge, revoke):
    token = mint(SECRET, "alice", ttl_s=600)
    claims = jwt.decode(token, options={"verify_signature": False})
    for result in (revoke(token, "--json"), revoke("-", "--json", input=token + "\n")):
        assert result.exit_code == 0, result.output
        assert json.loads(result.output)["tokenId"] == claims["jti"]
    for path, bearer, body in edge.asked:
        assert (path, bearer) == ("/v1/revocations", "Bearer mine")
        assert body["tokenId"] == claims["jti"]
        assert body["expiresAt"].startswith("20")
        assert body["final"] is False


def test_a_users_tokens_up_to_a_time(edge, revoke):
    result = revoke("--user", "alice", "--issued-before", "2026-03-02T09:00:00Z", "--final")
    assert result.exit_code == 0, result.output
    assert "tokens of alice issued before 2026-03-02T09:00:00" in result.output
    (_, _, body), *_ = edge.asked
    assert body == {"userId": "alice", "issuedBefore": "2026-03-02T09:00:00+00:00", "final": True}


def test_a_wrong_duration_names_its_option(revoke):
    assert "--longest" in revoke("--user", "alice", "--longest", "soon").output


def test_an_edges_refusal_is_told(revoke):
    result = revoke("--user", "nobody")
    assert isinstance(result.exception, Failure)
    assert "HTTP 403: Not today." in str(result.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--id", "t-1", "--user", "alice"),
        ("--id", "t-1", "--issued-before", "2026-03-02T09:00:00Z"),
        ("--user", "alice", "--issued-before", "yesterday"),
        ("--user", "alice", "--longest", "soon"),
    ],
)
def test_what_names_no_token_is_a_usage_error(edge, revoke, arguments):
    assert revoke(*arguments).exit_code == 2
    assert edge.asked == []


@pytest.mark.parametrize("token", ["alice", "", "a.b.c"])
def test_what_is_no_token_is_refused(token):
    with pytest.raises(Failure, match="no token"):
        named(token)


def test_a_token_without_an_id_cannot_be_revoked_alone():
    with pytest.raises(Failure, match="no id"):
        named(jwt.encode({"sub": "alice", "exp": 4_000_000_000}, SECRET))
