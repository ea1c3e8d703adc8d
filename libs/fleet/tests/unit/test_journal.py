from datetime import UTC, datetime

from tapewire.fleet.journal import Journal, Kind, Reader

NOW = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)


def test_a_reader_sees_each_entry_once_and_in_order(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal, reader = Journal(path), Reader(path)
    journal.say(Kind.STARTING, "risk", now=NOW)
    assert [entry.kind for entry in reader.new()] == [Kind.STARTING]
    journal.say(Kind.DIED, "risk", "was ended by SIGKILL", now=NOW)
    journal.say(Kind.STARTING, "risk", now=NOW)
    assert [entry.kind for entry in reader.new()] == [Kind.DIED, Kind.STARTING]
    assert list(reader.new()) == []


def test_an_entry_that_is_half_written_waits(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"at": "2026-01-05T14:30", "kind": "up", "na')
    reader = Reader(path)
    assert list(reader.new()) == []
    with path.open("a") as file:
        file.write('me": "", "detail": ""}\n')
    assert [entry.kind for entry in reader.new()] == [Kind.UP]


def test_a_reader_without_a_journal_sees_nothing(tmp_path):
    assert list(Reader(tmp_path / "missing.jsonl").new()) == []
