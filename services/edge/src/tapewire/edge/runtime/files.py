"""Open files: a connection is one, and so are the broker's, the log and much else."""

import resource
import sys
from typing import Final

KEPT: Final = 256  # for all that is no client: a reconnect to the broker must not fail


def room() -> int:
    """Raise the soft limit of open files to the hard one; return how many clients have room.

    A shell's soft limit of 1024 is there for programs that cannot bear more (``select``).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return sys.maxsize
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(1, hard - KEPT)
