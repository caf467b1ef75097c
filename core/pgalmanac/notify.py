"""The status line of a service: what systemctl status shows while a run goes on (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

__all__ = ["notify_status"]


def notify_status(text: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell the service manager what is being done; nothing happens where there is none, or where it does not listen."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return  # vsock: addresses are for whole machines
    address = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(f"STATUS={' '.join(text.split())}".encode(), address)
    except OSError:
        return
