"""Ports of servers that only this machine can reach."""

from __future__ import annotations

import socket

from benchmark.core.errors import UserError

HOST = "127.0.0.1"


def free_port(wanted: int | None) -> int:
    """The port that is wanted, or a free one. Raises UserError where it is taken."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, wanted or 0))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"--port {wanted} cannot be used ({reason}): choose another, or leave it out") from error
        return int(listening.getsockname()[1])
