"""What was handled is remembered, in memory and in files that survive anything but their loss."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tapewire.client import CallbackStore, FileStore
from tapewire.client.memory import Seen


def test_seen_forgets_its_oldest() -> None:
    seen = Seen(capacity=2)
    for message_id in ("a", "b", "a", "c"):
        seen.add(message_id)
    assert [message_id for message_id in "abc" if message_id in seen] == ["a", "c"]


def size_of(path: Path) -> int:
    return path.stat().st_size


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "client"


async def test_first_run_has_no_ids_and_the_next_has_those_of_the_first(path: Path) -> None:
    first = FileStore(path)
    assert await first.load() is None
    await first.remember([])
    await first.remember(["a", "b"])
    await first.remember(["odd\nid ☃"])
    assert await FileStore(path).load() == ["a", "b", "odd\nid ☃"]


async def test_client_welcomed_once_without_messages_was_here_before(path: Path) -> None:
    await FileStore(path).remember([])
    assert await FileStore(path).load() == []


def test_client_id_is_made_once_and_kept(path: Path) -> None:
    made = FileStore(path).client_id
    assert made
    assert FileStore(path).client_id == made


def test_client_id_that_is_given_stands(path: Path) -> None:
    FileStore(path)
    assert FileStore(path, client_id="exec-1").client_id == "exec-1"


async def test_torn_line_costs_only_itself(path: Path) -> None:
    store = FileStore(path)
    await store.remember(["a"])
    with path.open("a") as file:
        file.write('["b", "c')
    again = FileStore(path)
    assert await again.load() == ["a"]
    await again.remember(["d"])
    assert await FileStore(path).load() == ["a", "d"]


def test_empty_file_is_begun(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert FileStore(path).client_id


@pytest.mark.parametrize("content", [b"import os\n", b"{}\n", b"[1]\n", b"\xff\xfe\n"])
def test_file_of_another_kind_is_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match="some other file"):
        FileStore(path)
    assert path.read_bytes() == content


async def test_file_stays_small_and_keeps_the_youngest(path: Path) -> None:
    store = FileStore(path, capacity=10)
    for number in range(95):
        await store.remember([str(number)])
    ids = await FileStore(path, capacity=10).load()
    assert ids is not None
    assert ids[-10:] == [str(number) for number in range(85, 95)]
    assert size_of(path) < 300


async def test_callback_store_takes_sync_and_async_callables() -> None:
    kept: list[str] = ["a"]

    async def load() -> Sequence[str]:
        return kept

    store = CallbackStore(load, kept.extend, client_id="exec-1")
    await store.remember(["b"])
    assert await store.load() == ["a", "b"]
    assert await CallbackStore(lambda: None, lambda ids: None).load() is None
