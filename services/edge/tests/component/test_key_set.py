"""Tokens of an identity provider at the socket."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.utils import base64url_encode

from tapewire.auth import AuthSettings

KEY = rsa.generate_private_key(65537, 2048)


@pytest.fixture
def jwks_url() -> Iterator[str]:
    entry = jwt.get_algorithm_by_name("RS256").to_jwk(KEY.public_key(), as_dict=True)
    body = json.dumps({"keys": [entry | {"kid": "k1", "use": "sig"}]}).encode()

    class Provider(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/jwks"
    server.shutdown()
    thread.join()
    server.server_close()


def token_of(user: str) -> str:
    claims = {
        "sub": user,
        "iss": "tapewire",
        "aud": "tapewire",
        "exp": datetime.now(UTC) + timedelta(minutes=5),
        "scope": "alerts:ack session:read md:read",
    }
    return jwt.encode(claims, KEY, algorithm="RS256", headers={"kid": "k1"})


def forged(user: str) -> str:
    """A token signed by HS256 with the provider's public key as the secret."""
    public = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = base64url_encode(json.dumps({"alg": "HS256", "kid": "k1"}).encode())
    signed = header + b"." + token_of(user).split(".")[1].encode()
    signature = base64url_encode(hmac.new(public, signed, hashlib.sha256).digest())
    return (signed + b"." + signature).decode()


async def test_hs256_signed_with_the_public_key_gets_4500_and_nobody_else_notices(world, jwks_url):
    edge = await world.edge(AuthSettings(jwks_url=jwks_url))
    bystander = await world.client(edge, token=token_of("bob"))
    intruder = await world.client(edge, token=forged("alice"), welcome=False)
    assert await intruder.closed() == 4500
    await bystander.round_trip()
    assert (await world.client(edge, token=token_of("alice"))).welcome["userId"] == "alice"
