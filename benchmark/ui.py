"""`python -m benchmark.ui`: open MLflow on the latest finished suite, all rows side by side."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from benchmark.core.cli import EXIT_OK, Interrupted, Parser, run_command

EXAMPLES = (
    "python -m benchmark.ui",
    "python -m benchmark.ui --out runs --port 5000 --no-browser",
)
DESCRIPTION = f"""{__doc__}

Starts MLflow's server on this machine alone, on a free port, prints its address, and ends it with Ctrl-C. Where
MLFLOW_TRACKING_URI names a server, its page is opened and nothing is started."""


def parser() -> Parser:
    """Build the argument parser."""
    command = Parser("benchmark.ui", DESCRIPTION, EXAMPLES)
    command.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="the --out of the runs (default: runs)"
    )
    command.add_argument("--port", type=int, metavar="N", help="default: a free one")
    command.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: show(arguments))


def show(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from benchmark.core.loopback import free_port, show_page
    from benchmark.core.mlflow_server import default_files, find_comparison, served

    port = free_port(arguments.port)
    uri, path = find_comparison(arguments.out)
    if uri.startswith(("http://", "https://")):
        show_page(uri.rstrip("/") + path, arguments.no_browser)
        return EXIT_OK
    with suppress(Interrupted), served(uri, port, default_files(arguments.out)) as address:
        show_page(address + path, arguments.no_browser)
        sys.stderr.write("Ctrl-C ends the server\n")
        while True:
            time.sleep(3600)
    return EXIT_OK


if __name__ == "__main__":
    raise SystemExit(main())
