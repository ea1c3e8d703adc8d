"""A private RabbitMQ node as a child of this process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

from tapewire.fleet.rabbitmq import BrokerFailed, Node

START_TIMEOUT_S = 120.0  # 4 s on two idle cores; a loaded machine has taken over a minute
STOP_TIMEOUT_S = 20.0  # a clean stop takes 2 s; past this its data is closed by force


class RunningNode:
    """A node as a child of this process, for tests and tools; the fleet's is the supervisor's."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.log = node.directory / "node.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The pid of the process group's leader while the node runs."""
        return self._process.pid if self._process else None

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Starts the node and waits until it serves.

        Raises:
            BrokerFailed: it ended or was not ready in time; nothing of it is left running.
        """
        self.node.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.node.argv,
                env=self.node.env,
                cwd=self.node.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_s
        while not self.node.is_ready():
            ended = self._process.poll()
            if ended is not None or time.monotonic() > deadline:
                self.kill()
                cause = f"ended with code {ended}" if ended is not None else "was not ready"
                raise BrokerFailed(f"RabbitMQ {cause}; see {self.log}:\n{self.log_tail()}")
            time.sleep(0.1)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stops the node cleanly, by force past `timeout_s`; nothing of it is left."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole process group, as a crash of the broker would."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def log_tail(self, lines: int = 15) -> str:
        """The end of the node's log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""
