"""Keeps programs running: starts them in stages, starts the dead again, ends them all.

| in state | what happened | it does | next state |
|---|---|---|---|
| starting | the probe says ready | says so | ready |
| starting, ready | the process ended | kills its session, starts it after a back-off | starting |
| dead | its name stands in the directory `held` | waits until it does not | starting |
| starting | before the fleet was up: too many deaths, or too late | ends everything | stopped |
| any | SIGTERM, SIGINT | SIGTERM in reverse stages, SIGKILL past the deadline | stopped |
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from tapewire.fleet import processes
from tapewire.fleet.backoff import Backoff
from tapewire.fleet.files import write_private
from tapewire.fleet.journal import Journal, Kind
from tapewire.fleet.processes import Identity
from tapewire.fleet.programs import Program

START_ATTEMPTS = 3  # a program that dies so often at the fleet's start will not come up
START_TIMEOUT_S = 120.0  # for one stage; two idle cores take 5 s
STOP_TIMEOUT_S = 60.0  # for one stage; longer than an edge's drain of 40 s
PROBE_INTERVAL_S = 0.1
LOG_LIMIT = 20 * 1024 * 1024  # bytes; a longer log is set aside when its program starts


class StartFailed(RuntimeError):
    """The fleet did not come up; the message names the program and shows the end of its log."""


class State(StrEnum):
    """The life of a program under supervision."""

    STARTING = "starting"
    READY = "ready"
    DEAD = "dead"
    STOPPED = "stopped"


@dataclass
class Kept:
    """A program and what became of it so far."""

    program: Program
    state: State = State.STOPPED
    identity: Identity | None = None
    backoff: Backoff = field(default_factory=Backoff)
    starts: int = 0
    death: str = ""
    keeper: asyncio.Task[None] | None = None


class Supervisor:
    """Runs stages of programs until it is told to stop.

    Args:
        stages: started in order, stopped in reverse.
        logs: directory for `<name>.log`.
        held: directory in which a file with a program's name keeps that program down.
        state: file that always holds the identities of what runs, for `end_leftovers`.
        journal: hears of everything.
        on_change: called when all is ready, and when a pid changed after that.
    """

    def __init__(
        self,
        stages: tuple[tuple[Program, ...], ...],
        *,
        logs: Path,
        held: Path,
        state: Path,
        journal: Journal,
        on_change: Callable[[dict[str, int]], None],
    ) -> None:
        self._stages = [[Kept(program) for program in stage] for stage in stages]
        self._logs = logs
        self._held = held
        self._state = state
        self._journal = journal
        self._on_change = on_change
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._up = False

    @property
    def pids(self) -> dict[str, int]:
        """The pids of what runs, and of this supervisor."""
        running = {kept.program.name: kept.identity.pid for kept in self._all() if kept.identity}
        return {"supervisor": os.getpid()} | running

    def stop(self) -> None:
        """Begins to end everything; `run` returns when it is done."""
        self._stopping.set()

    async def run(self) -> None:
        """Starts everything, keeps it running until `stop`, ends everything.

        Raises:
            StartFailed: a program did not come up; everything has been ended.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        self._write_state()
        try:
            for stage in self._stages:
                for kept in stage:
                    kept.keeper = asyncio.create_task(self._keep(kept))
                await self._until_ready(stage)
                if self._stopping.is_set():
                    return
            self._up = True
            self._on_change(self.pids)
            self._say(Kind.UP)
            await self._until_told()
        finally:
            self._stopping.set()
            await self._end_all()
            self._state.unlink(missing_ok=True)

    async def _until_told(self) -> None:
        """Returns when the fleet is to stop; a keeper that failed is a reason, and is raised."""
        told = asyncio.create_task(self._stopping.wait())
        keepers = [kept.keeper for kept in self._all() if kept.keeper]
        done, _ = await asyncio.wait([told, *keepers], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        for task in done:
            task.result()

    async def _until_ready(self, stage: list[Kept]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._stopping.is_set():
            waiting = [kept for kept in stage if kept.state is not State.READY]
            if not waiting:
                return
            for kept in waiting:
                if kept.backoff.deaths >= START_ATTEMPTS:
                    raise StartFailed(f"{kept.program.name} {kept.death}{self._log_tail(kept)}")
            if time.monotonic() > deadline:
                names = ", ".join(kept.program.name for kept in waiting)
                reason = f"{names}: not ready in {START_TIMEOUT_S:.0f} s"
                raise StartFailed(reason + self._log_tail(waiting[0]))
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._changed.wait()

    async def _keep(self, kept: Kept) -> None:
        """Starts a program again and again until the fleet stops."""
        name = kept.program.name
        while not self._stopping.is_set():
            born = time.monotonic()
            process = await self._start(kept)
            if process is not None:
                if self._stopping.is_set():  # told so while the process was being made
                    process.terminate()
                probing = asyncio.create_task(self._probe(kept))
                kept.death = _ending(await process.wait())
                probing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await probing
            leader, kept.identity, kept.state = kept.identity, None, State.DEAD
            if leader is not None:
                await asyncio.to_thread(processes.kill_session, leader)
            if self._stopping.is_set():
                break
            kept.backoff = kept.backoff.after(time.monotonic() - born)
            delay_s = kept.backoff.delay_s
            self._say(Kind.DIED, name, f"{kept.death}; again in {delay_s:.1f} s")
            self._changed.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._stopping.wait()
            await self._while_held(kept)
        kept.state = State.STOPPED

    async def _while_held(self, kept: Kept) -> None:
        hold = self._held / kept.program.name
        if not hold.exists():
            return
        self._say(Kind.NOTE, kept.program.name, "held down")
        while hold.exists() and not self._stopping.is_set():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(PROBE_INTERVAL_S)
        kept.backoff = Backoff()

    async def _start(self, kept: Kept) -> asyncio.subprocess.Process | None:
        """Starts the process in a session of its own; None when it cannot be started at all."""
        program = kept.program
        kept.starts += 1
        kept.state = State.STARTING
        log_path = self._logs / f"{program.name}.log"
        if log_path.exists() and log_path.stat().st_size > LOG_LIMIT:
            log_path.replace(log_path.with_suffix(".log.1"))
        try:
            with log_path.open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *program.argv,
                    env=dict(program.env),
                    cwd=program.cwd,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            kept.death = f"could not be started: {error}"
            return None
        kept.identity = Identity.of(process.pid)
        self._write_state()
        self._say(Kind.STARTING, program.name, f"pid {process.pid}")
        if self._up:
            self._on_change(self.pids)
        return process

    async def _probe(self, kept: Kept) -> None:
        born = time.monotonic()
        ready = kept.program.ready
        while True:
            if ready is None or await ready():
                break
            await asyncio.sleep(PROBE_INTERVAL_S)
        kept.state = State.READY
        self._say(Kind.READY, kept.program.name, f"in {time.monotonic() - born:.1f} s")
        self._changed.set()

    async def _end_all(self) -> None:
        """Ends the stages in reverse; the sessions of programs that died meanwhile, too."""
        self._say(Kind.STOPPING)
        for stage in reversed(self._stages):
            started = [kept for kept in stage if kept.keeper]
            for kept in started:
                if kept.identity and (process := kept.identity.process()):
                    process.terminate()
            keepers = [kept.keeper for kept in started if kept.keeper]
            if keepers:
                await asyncio.wait(keepers, timeout=STOP_TIMEOUT_S)
            for kept in started:
                if kept.identity:
                    self._say(Kind.KILLED, kept.program.name, f"after {STOP_TIMEOUT_S:.0f} s")
                    await asyncio.to_thread(processes.kill_session, kept.identity)
            await asyncio.gather(*keepers)
            for kept in started:
                self._say(Kind.STOPPED, kept.program.name)

    def _say(self, kind: Kind, name: str = "", detail: str = "") -> None:
        entry = self._journal.say(kind, name, detail, now=datetime.now(UTC))
        print(entry, flush=True)

    def _write_state(self) -> None:
        running = {kept.program.name: kept.identity for kept in self._all() if kept.identity}
        identities = {"supervisor": Identity.of(os.getpid())} | running
        write_private(self._state, json.dumps(identities))

    def _all(self) -> list[Kept]:
        return [kept for stage in self._stages for kept in stage]

    def _log_tail(self, kept: Kept, lines: int = 15) -> str:
        path = self._logs / f"{kept.program.name}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return f"\n{path}:\n" + "\n".join(text.splitlines()[-lines:])


def _ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with code {code}"
    return f"was ended by {signal.Signals(-code).name}"
