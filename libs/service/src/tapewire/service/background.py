"""A component that is one task, from its start to its stop."""

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import Final

from tapewire.broker import cancelled

log = logging.getLogger(__name__)

AGAIN_AFTER_S: Final = 1.0  # what nobody thought of may come each time: not in a busy loop


class Background(ABC):
    """Runs `_run` as a task, and again when it fails with what nobody thought of.

    A loop that ended unseen would leave its work to nobody: an outbox unpublished, a clock
    unread. So whatever it raises is logged, told as `health()`, and it begins anew. One that
    returns has done its work.
    """

    name: str
    """Name in `/readyz`, in logs, and of the task."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._fault: str | None = None  # `_run` may note one of its own

    @abstractmethod
    async def _run(self) -> None:
        """Do the work; cancelled by `stop()`."""

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._keep_running(), name=self.name)

    async def drain(self) -> None:  # noqa: B027 - there is a default, for most have nothing
        """Nothing to finish."""

    async def stop(self) -> None:
        """Stop at once."""
        task, self._task = self._task, None
        await cancelled(task)

    def health(self) -> str | None:
        """Return None, unless it failed and is about to begin anew, or noted a fault of its own."""
        return self._fault

    async def _keep_running(self) -> None:
        while True:
            self._fault = None
            try:
                await self._run()
            except Exception as error:
                self._fault = f"{type(error).__name__}: {error}"[:200]
                log.exception("begun anew", extra={"component": self.name})
                await asyncio.sleep(AGAIN_AFTER_S)
            else:
                return
