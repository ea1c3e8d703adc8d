"""The supervisor on small real processes: deaths, starts, ends."""

import asyncio
import contextlib
import os
import signal
import sys
import textwrap

import psutil
import pytest

from tapewire.fleet import processes
from tapewire.fleet.journal import Journal, Kind, Reader
from tapewire.fleet.processes import Identity, recorded
from tapewire.fleet.programs import Program
from tapewire.fleet.supervisor import StartFailed, Supervisor

IDLE = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {IDLE!r}]).wait()"


def program(name, code, tmp_path, ready=None):
    return Program(name, (sys.executable, "-c", code), dict(os.environ), tmp_path, ready)


class Run:
    """A supervisor in this process, and what it said."""

    def __init__(self, tmp_path, *stages):
        self.state = tmp_path / "processes.json"
        self.held = tmp_path / "held"
        self.held.mkdir()
        self.reader = Reader(tmp_path / "journal.jsonl")
        self.said = []
        self.changes = []
        self.supervisor = Supervisor(
            stages,
            logs=tmp_path,
            held=self.held,
            state=self.state,
            journal=Journal(tmp_path / "journal.jsonl"),
            on_change=self.changes.append,
        )

    def heard(self, kind, name=""):
        self.said += self.reader.new()
        return [entry for entry in self.said if entry.kind is kind and entry.name == name]

    async def until(self, kind, name="", count=1):
        async with asyncio.timeout(20):
            while len(self.heard(kind, name)) < count:
                await asyncio.sleep(0.02)

    @contextlib.asynccontextmanager
    async def up(self):
        task = asyncio.create_task(self.supervisor.run())
        try:
            await self.until(Kind.UP)
            yield self
        finally:
            self.supervisor.stop()
            await task


async def test_a_killed_program_comes_back_under_another_pid_and_it_is_said(tmp_path):
    async with Run(tmp_path, (program("risk", IDLE, tmp_path),)).up() as run:
        before = run.supervisor.pids["risk"]
        os.kill(before, signal.SIGKILL)
        await run.until(Kind.READY, "risk", count=2)
        assert run.supervisor.pids["risk"] != before
        assert run.changes[-1]["risk"] == run.supervisor.pids["risk"]
        assert "SIGKILL; again in 0.2 s" in run.heard(Kind.DIED, "risk")[0].detail
        assert recorded(run.state)["risk"].pid == run.supervisor.pids["risk"]


async def test_a_program_that_is_held_stays_down_until_it_is_let_go(tmp_path):
    async with Run(tmp_path, (program("risk", IDLE, tmp_path),)).up() as run:
        hold = run.held / "risk"
        hold.touch()
        os.kill(run.supervisor.pids["risk"], signal.SIGKILL)
        await run.until(Kind.NOTE, "risk")
        assert "risk" not in run.supervisor.pids
        assert not run.heard(Kind.READY, "risk")[1:]
        hold.unlink()
        await run.until(Kind.READY, "risk", count=2)


async def test_a_fleet_with_a_held_program_ends_at_once(tmp_path):
    async with Run(tmp_path, (program("risk", IDLE, tmp_path),)).up() as run:
        (run.held / "risk").touch()
        os.kill(run.supervisor.pids["risk"], signal.SIGKILL)
        await run.until(Kind.NOTE, "risk")
    assert run.heard(Kind.STOPPED, "risk")


async def test_children_of_a_killed_program_do_not_outlive_it(tmp_path):
    async with Run(tmp_path, (program("edge-1", PARENT, tmp_path),)).up() as run:
        leader = Identity.of(run.supervisor.pids["edge-1"])
        async with asyncio.timeout(20):
            while len(processes.members(leader)) < 2:
                await asyncio.sleep(0.02)
        child = next(p for p in processes.members(leader) if p.pid != leader.pid)
        os.kill(leader.pid, signal.SIGKILL)
        await run.until(Kind.READY, "edge-1", count=2)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_a_later_stage_waits_for_the_earlier_one_and_is_ended_first(tmp_path):
    gate = asyncio.Event()

    async def ready():
        return gate.is_set()

    broker = program("rabbitmq", IDLE, tmp_path, ready)
    run = Run(tmp_path, (broker,), (program("edge-1", IDLE, tmp_path),))
    task = asyncio.create_task(run.supervisor.run())
    await run.until(Kind.STARTING, "rabbitmq")
    assert run.heard(Kind.STARTING, "edge-1") == []
    gate.set()
    await run.until(Kind.UP)
    run.supervisor.stop()
    await task
    run.heard(Kind.UP)
    assert [e.name for e in run.said if e.kind is Kind.STOPPED] == ["edge-1", "rabbitmq"]


async def test_a_program_that_does_not_come_up_fails_the_start_with_its_log(tmp_path):
    broken = program("desk", "raise SystemExit('DATABASE_URL is wrong')", tmp_path)
    never = Program(broken.name, broken.argv, broken.env, tmp_path, ready=asyncio.Event().wait)
    run = Run(tmp_path, (program("rabbitmq", IDLE, tmp_path),), (never,))
    with pytest.raises(StartFailed, match=r"(?s)desk ended with code 1.*DATABASE_URL is wrong"):
        await run.supervisor.run()
    assert run.heard(Kind.STOPPED, "rabbitmq")
    assert not run.state.exists()


async def test_a_command_that_does_not_exist_fails_the_start(tmp_path):
    missing = Program("desk", ("/no/such/program",), {}, tmp_path, asyncio.Event().wait)
    with pytest.raises(StartFailed, match="No such file"):
        await Run(tmp_path, (missing,)).supervisor.run()


async def test_a_program_that_does_not_heed_sigterm_is_killed_past_the_deadline(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("tapewire.fleet.supervisor.STOP_TIMEOUT_S", 0.5)
    ready = tmp_path / "deaf.log"

    async def heard():
        return "deaf" in ready.read_text()

    deaf = program("deaf", f"print('deaf', flush=True); {DEAF}", tmp_path, heard)
    async with Run(tmp_path, (deaf,)).up() as run:
        leader = Identity.of(run.supervisor.pids["deaf"])
    assert run.heard(Kind.KILLED, "deaf")
    assert leader.process() is None


async def test_a_stop_while_starting_leaves_nothing(tmp_path):
    slow = program("edge-1", IDLE, tmp_path, asyncio.Event().wait)
    run = Run(tmp_path, (slow,))
    task = asyncio.create_task(run.supervisor.run())
    await run.until(Kind.STARTING, "edge-1")
    leader = recorded(run.state)["edge-1"]
    run.supervisor.stop()
    await task
    assert leader.process() is None
    assert run.changes == []


def test_a_pid_that_belongs_to_another_process_is_never_touched():
    stranger = Identity(os.getppid(), started=1.0)
    assert stranger.process() is None
    assert processes.members(stranger) == []
    processes.end([stranger], timeout_s=1)
    assert psutil.pid_exists(os.getppid())


def test_what_a_dead_leader_left_in_its_session_is_found_and_ended(tmp_path):
    code = textwrap.dedent(f"""
        import subprocess, sys
        print(subprocess.Popen([sys.executable, "-c", {IDLE!r}], stdout=subprocess.DEVNULL).pid)
    """)
    leader = psutil.Popen(
        [sys.executable, "-c", code], stdout=-1, text=True, start_new_session=True
    )
    identity = Identity.of(leader.pid)
    orphan = psutil.Process(int(leader.communicate(timeout=20)[0]))
    assert [process.pid for process in processes.members(identity)] == [orphan.pid]
    processes.end([identity], timeout_s=1)
    assert processes.members(identity) == []
