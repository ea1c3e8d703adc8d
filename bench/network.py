"""A network of a benchmark's own: loopback, and none of the machine's firewall.

Rules for network address translation, as a Docker engine leaves them on a machine, have every
packet tracked, those on loopback too: a fifth of what a `send` costs. What is measured here runs in
a network namespace without any, if the machine lets it.
"""

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import Final

CLONE_NEWUSER: Final = 0x10000000  # sched.h
CLONE_NEWNET: Final = 0x40000000
SIOCSIFFLAGS: Final = 0x8914  # linux/sockios.h
IFF_UP: Final = 1


def leave_the_machines() -> None:
    """Move this process, before it has threads, to a network of its own, if it may."""
    user, group = os.getuid(), os.getgid()
    try:
        if user == 0:
            _unshare(CLONE_NEWNET)
        else:
            _unshare(CLONE_NEWUSER | CLONE_NEWNET)
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
    except (OSError, AttributeError):  # not allowed, or no Linux: `describe` tells
        return


def describe() -> str:
    """Return which network this process has."""
    is_own = [name for _, name in socket.if_nameindex()] == ["lo"]
    return "loopback of its own" if is_own else "the machine's"


def _unshare(flags: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
