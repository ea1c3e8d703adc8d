"""A link comes back whatever its attempts ended with: a link that gave up would never come back."""

import aio_pika
import pytest

from tapewire.broker import Link, Role


@pytest.mark.parametrize("error", [OSError, StopAsyncIteration, KeyError])
async def test_link_tries_again_after_any_failure(broker_url, monkeypatch, error):
    failures, connect = [error("as aiormq let out")], aio_pika.connect

    def fail_once(*given, **more):
        if failures:
            raise failures.pop()
        return connect(*given, **more)

    monkeypatch.setattr(aio_pika, "connect", fail_once)
    link = Link(broker_url, Role.TOPOLOGY, name="stubborn")
    await link.start()
    await link.connected(timeout_s=20)
    assert not failures
    await link.close()
