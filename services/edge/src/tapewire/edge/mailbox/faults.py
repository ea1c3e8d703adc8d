"""What may go wrong with the broker while something is tried again anyway."""

import logging
from typing import Final

from tapewire.broker import CONNECTION_ERRORS, BrokerError

log = logging.getLogger(__name__)

BROKER_FAULTS: Final = (*CONNECTION_ERRORS, BrokerError)


def note(what: str, error: Exception) -> None:
    """Log why something will be tried again; what should not happen, with its traceback."""
    if isinstance(error, BROKER_FAULTS):
        log.info("%s: %s", what, error or type(error).__name__)
    else:
        log.error("%s", what, exc_info=error)
