"""What the READMEs print runs as it is printed, but for address, token and user."""

import asyncio
import os
import re
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from plain import DEADLINE_S, alert, connected, publish

from tapewire.contracts import EmergencyStop

ROOT = Path(__file__).parents[1]


def blocks(readme: str, *, having: str) -> str:
    """The one block of Python in a README in which something stands."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    (found,) = [b for b in re.findall(r"```python\n(.*?)```", text, re.S) if having in b]
    return found


def replaced(text: str, **pairs: str) -> str:
    for old, new in pairs.values():
        assert old in text, old
        text = text.replace(old, new)
    return text


@asynccontextmanager
async def running(code: str):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-c", code),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line(process: asyncio.subprocess.Process) -> str:
    async with asyncio.timeout(DEADLINE_S):
        return (await process.stdout.readline()).decode()


async def end(process: asyncio.subprocess.Process) -> tuple[int, str]:
    async with asyncio.timeout(DEADLINE_S):
        said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_publish_of_the_readme(fleet, user):
    code = replaced(
        blocks("README.md", having="EventPublisher"),
        url=("amqp://producer:…@localhost:5672/", fleet.amqp_url()),
        user=('"alice"', repr(user)),
    )
    async with connected(fleet, user) as alice:
        await alice.subscribe(f"sessions:{user}")
        async with running(code) as process:
            assert await end(process) == (0, "")
        assert (await alice.until("session_started"))[0]["lossLimit"] == 500


async def test_listen_of_the_readme(fleet, user):
    code = replaced(
        blocks("README.md", having="@client.on_message"),
        url=("ws://localhost:8081/ws", fleet.socket_url("edge-1")),
        token=('token="…"', f"token={fleet.token(user)!r}"),
        user=("sessions:alice", f"sessions:{user}"),
    )
    async with running(code) as process:
        await publish(fleet, alert(user, 1))
        assert (await line(process)).startswith("critical ")


async def test_loop_of_the_clients_readme(fleet, user, tmp_path):
    code = replaced(
        blocks("libs/client/README.md", having="client.messages("),
        url=("https://desk.example", fleet.socket_url("edge-1")),
        token=("token=fetch_token", f"token=lambda: {fleet.token(user)!r}"),
        store=("~/.alerts", f"{tmp_path}/alerts"),
        user=("sessions:alice", f"sessions:{user}"),
    )
    async with running(code) as process:
        await publish(fleet, alert(user, 1))
        assert "risk_alert" in await line(process)


async def test_publisher_of_the_clients_readme(fleet, user):
    code = replaced(
        blocks("libs/client/README.md", having="NotConfirmed as error"),
        url=("amqp://producer:…@broker/", fleet.amqp_url()),
        user=('"alice"', repr(user)),
    )
    inner = "\n".join("    " + text for text in code.splitlines())
    async with running(f"import asyncio\nasync def main():\n{inner}\nasyncio.run(main())") as one:
        assert await end(one) == (0, "")


def test_handlers_of_the_clients_readme_are_taken():
    from tapewire.client import Message, WebSocketClient

    code = blocks("libs/client/README.md", having="@client.on_message").split("client.on_gap")[0]
    given = {"fetch_token": str, "EmergencyStop": EmergencyStop, "Message": Message}
    exec(code, given | {"WebSocketClient": WebSocketClient})


@pytest.mark.parametrize(("readme", "tried"), [("README.md", 2), ("libs/client/README.md", 3)])
def test_every_block_of_python_is_among_these(readme, tried):
    text = (ROOT / readme).read_text(encoding="utf-8")
    assert len(re.findall(r"```python\n", text)) == tried
