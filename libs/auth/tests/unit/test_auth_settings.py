import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from tapewire.auth import AuthSettings, Verifier, mint

SECRET = "a secret of the test, more than 32 bytes"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("TAPEWIRE_"):
            monkeypatch.delenv(name)


def test_without_keys_the_error_names_both_variables():
    with pytest.raises(ValidationError, match=r"(?s)TAPEWIRE_JWT_SECRET.*TAPEWIRE_JWKS_URL"):
        AuthSettings()


def test_both_sources_of_keys_are_one_too_many():
    with pytest.raises(ValidationError, match="one of the two"):
        AuthSettings(jwt_secret=SECRET, jwks_url="https://id.example/jwks")


def test_a_short_secret_is_refused_and_not_shown():
    with pytest.raises(ValidationError, match="32 bytes") as caught:
        AuthSettings(jwt_secret="hunter2")
    assert "hunter2" not in str(caught.value)


def test_the_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TAPEWIRE_JWT_SECRET", SECRET)
    assert SECRET not in repr(AuthSettings())


async def test_the_secret_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "secret").write_text(SECRET + "\n")
    monkeypatch.setenv("TAPEWIRE_JWT_SECRET_FILE", str(tmp_path / "secret"))
    verifier = Verifier.from_settings(AuthSettings())
    assert (await verifier.verify(mint(SECRET, "alice"))).subject == "alice"


async def test_issuer_and_audience_can_be_another_providers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TAPEWIRE_JWT_SECRET", SECRET)
    monkeypatch.setenv("TAPEWIRE_JWT_ISSUER", "https://id.example")
    monkeypatch.setenv("TAPEWIRE_JWT_AUDIENCE", "desk")
    verifier = Verifier.from_settings(AuthSettings())
    token = mint(SECRET, "alice", issuer="https://id.example", audience="desk")
    assert (await verifier.verify(token)).subject == "alice"


def test_a_key_set_url_is_http():
    with pytest.raises(ValidationError):
        AuthSettings(jwks_url="file:///etc/passwd")
