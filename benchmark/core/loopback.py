"""Servers that only this machine can reach: their ports, and their pages in the browser."""

from __future__ import annotations

import socket
import sys
import webbrowser

from benchmark.core.errors import UserError

HOST = "127.0.0.1"


def free_port(wanted: int | None) -> int:
    """Return `wanted`, or a free port where it is None. Raises UserError where the port is taken."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, wanted or 0))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"--port {wanted} cannot be used ({reason}): choose another, or leave it out") from error
        return int(listening.getsockname()[1])


def show_page(address: str, print_only: bool) -> None:
    """Print the address of a page and, unless `print_only`, open it in the browser."""
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()
    if not print_only:
        webbrowser.open(address)
