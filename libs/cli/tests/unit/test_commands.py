"""The command line without a fleet: options, help, errors."""

import json
from datetime import timedelta

import jwt
import pytest
import typer
from typer.testing import CliRunner

from tapewire.broker import topology
from tapewire.cli.app import app
from tapewire.cli.console import Failure
from tapewire.cli.inbox import age
from tapewire.cli.inboxes import owners
from tapewire.cli.options import duration, names
from tapewire.cli.publish import split

SECRET = "a-secret-of-at-least-thirty-two-bytes"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command against a run directory in which there is no fleet."""
    monkeypatch.setenv("TAPEWIRE_RUN_DIR", str(tmp_path))
    monkeypatch.delenv("TAPEWIRE_JWT_SECRET", raising=False)
    return lambda *arguments, **more: CliRunner().invoke(app, list(arguments), **more)


COMMANDS = [
    "up",
    "down",
    "status",
    "token",
    "token revoke",
    "token revoked",
    "publish",
    "tail",
    "doctor",
]
COMMANDS += ["inbox ls", "inbox peek", "rejected ls", "rejected replay"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run, command):
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    assert "--json" in result.output
    assert "--run-dir" in result.output


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("status", ()),
        ("token", ("--user", "alice")),
        ("token", ("revoke", "--user", "alice")),
        ("token", ("revoked",)),
        ("tail", ()),
        ("publish", ("{}",)),
        ("inbox", ("ls",)),
        ("inbox", ("peek", "alice")),
        ("rejected", ("ls",)),
        ("rejected", ("replay", "--all")),
    ],
)
def test_without_a_fleet_a_command_says_how_to_start_one(run, command, arguments):
    result = run(command, *arguments)
    assert isinstance(result.exception, Failure)
    assert "no fleet runs here" in str(result.exception)
    assert "make demo" in result.exception.remedy
    assert result.exception.code == 3


def test_down_without_a_fleet_is_no_error(run):
    result = run("down")
    assert result.exit_code == 0
    assert "No fleet runs here" in result.output


def test_a_token_carries_what_was_asked_for(run):
    arguments = ["--user", "bot", "--scope", "events:write,md:read", "--ttl", "2h", "--json"]
    result = run("token", *arguments, "--supervises", "bob", env={"TAPEWIRE_JWT_SECRET": SECRET})
    told = json.loads(result.stdout)
    claims = jwt.decode(told["token"], SECRET, algorithms=["HS256"], audience="tapewire")
    assert claims["sub"] == "bot"
    assert claims["scope"] == "events:write md:read"
    assert claims["supervises"] == ["bob"]
    assert claims["exp"] - claims["iat"] == told["expires_in_s"] == 7200


def test_a_token_with_an_unknown_scope_lists_the_known_ones(run):
    result = run("token", "--user", "a", "-s", "root", env={"TAPEWIRE_JWT_SECRET": SECRET})
    assert "unknown scope: root" in str(result.exception)
    assert "events:write" in result.exception.remedy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("45", timedelta(seconds=45)),
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("8h", timedelta(hours=8)),
        ("1d", timedelta(days=1)),
    ],
)
def test_durations_are_read_with_their_unit(text, expected):
    assert duration(text) == expected


@pytest.mark.parametrize("text", ["", "0", "soon", "-5m", "5w", "1.5h"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(typer.BadParameter):
        duration(text)


def test_names_may_be_repeated_and_joined_by_commas():
    assert names(["a, b", "c", ""]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('{"type": "a"}', 1),
        ('{\n "type": "a"\n}', 1),
        ('[{"type": "a"}, {"type": "b"}]', 2),
        ('{"type": "a"}\n\n{"type": "b"}\n', 2),
        ("not json", 1),
        ("", 0),
    ],
)
def test_events_are_told_apart(text, count):
    assert len(split(text)) == count


def test_an_event_and_a_file_are_not_both_taken(run, tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_text("{}")
    result = run("publish", "{}", "--file", str(path))
    assert result.exit_code == 2
    assert "not both" in result.output


def test_what_to_replay_must_be_said_and_only_once(run):
    assert run("rejected", "replay").exit_code == 2
    assert run("rejected", "replay", "some-id", "--all").exit_code == 2


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ("inbox.alice", ("alice", None)),
        ("inbox.o:27hara.bot:2E1", ("o'hara", "bot.1")),
        (topology.inbox("x" * 200).name, (None, None)),
        (topology.own_inbox("alice", "y" * 200).name, ("alice", "?")),
    ],
)
def test_an_inboxs_name_says_whose_it_is_unless_the_id_was_too_long(queue, expected):
    assert owners(queue) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.4, "0 s"), (59, "59 s"), (3600, "1 h"), (93_784, "1 d 2 h"), (120, "2 min")],
)
def test_ages_are_told_in_two_units_at_most(seconds, text):
    assert age(seconds) == text


def test_doctor_says_of_each_thing_how_it_is(run):
    result = run("doctor", "--json")
    findings = {finding["subject"]: finding for finding in json.loads(result.stdout)}
    assert findings["Python"]["verdict"] == "ok"
    assert findings["Fleet"]["remedy"]
    assert all(f["remedy"] for f in findings.values() if f["verdict"] == "wrong")
    assert result.exit_code == any(f["verdict"] == "wrong" for f in findings.values())
