import os
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from tapewire.service import ServiceSettings


class DemoSettings(ServiceSettings):
    http_port: int = 8082
    demo_window_s: float = 1.5


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("TAPEWIRE_", "DATABASE_URL")):
            monkeypatch.delenv(name)


def test_a_service_has_defaults_and_fields_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TAPEWIRE_DEMO_WINDOW_S", "2.5")
    settings = DemoSettings()
    assert (settings.http_port, settings.demo_window_s) == (8082, 2.5)
    assert settings.data_dir == Path(".run/data")


def test_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        DemoSettings().http_port = 1  # type: ignore[misc]


def test_an_empty_variable_is_an_absent_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TAPEWIRE_HTTP_PORT", "")
    assert DemoSettings().http_port == 8082


def test_origins_are_a_comma_list(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TAPEWIRE_CORS_ORIGINS", "http://a.example, http://b.example,")
    assert ServiceSettings().cors_origins == ("http://a.example", "http://b.example")


def test_a_level_may_be_written_small(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TAPEWIRE_LOG_LEVEL", "debug")
    assert ServiceSettings().log_level == "DEBUG"


def test_a_value_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "url").write_text("amqp://u:p@broker/v\n")
    monkeypatch.setenv("TAPEWIRE_AMQP_URL_FILE", str(tmp_path / "url"))
    assert ServiceSettings().amqp_url == "amqp://u:p@broker/v"


def test_a_field_with_a_name_of_its_own_may_stand_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "url").write_text("postgres://u:p@db/risk")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    assert ServiceSettings().database_url == "postgres://u:p@db/risk"


def test_a_value_and_its_file_are_one_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TAPEWIRE_AMQP_URL", "amqp://x/")
    monkeypatch.setenv("TAPEWIRE_AMQP_URL_FILE", str(tmp_path / "url"))
    with pytest.raises(SettingsError, match="TAPEWIRE_AMQP_URL_FILE, not both"):
        ServiceSettings()


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TAPEWIRE_AMQP_URL_FILE", "/nowhere/url")
    with pytest.raises(SettingsError, match="/nowhere/url: No such file"):
        ServiceSettings()


def test_an_invalid_value_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TAPEWIRE_HTTP_PORT", "hunter2")
    with pytest.raises(ValidationError) as caught:
        ServiceSettings()
    assert "http_port" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_urls_with_passwords_are_not_shown():
    settings = ServiceSettings(
        amqp_url="amqp://u:hunter2@b/", database_url="postgres://u:hunter2@d/"
    )
    assert "hunter2" not in repr(settings)
