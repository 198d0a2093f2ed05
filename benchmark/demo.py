"""`python -m benchmark.demo`: edit a face in the browser with every method, side by side."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from benchmark.core.cli import EXIT_OK, Interrupted, Parser, run_command
from benchmark.core.errors import UserError

EXAMPLES = (
    "python -m benchmark.demo",
    "python -m benchmark.demo --checkpoint hisd --checkpoint mtss",
    "python -m benchmark.demo --checkpoint mtss --checkpoint runs/train/DIR --port 8000",
)
DESCRIPTION = f"""{__doc__}

Drop a picture in or choose a rendered face; guide the edit by an expression, a reference or action units. Under each
edit stand the judge's opinion and the similarity of the faces. The page is served on this machine alone, and ends with
Ctrl-C; pictures stay in memory."""


def parser() -> Parser:
    """Build the argument parser."""
    command = Parser("benchmark.demo", DESCRIPTION, EXAMPLES)
    command.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        metavar="NAME_OR_DIR",
        help="a folder of runs/train/, an imported one, or the name of stored weights; several times for several "
        "(default: the latest training of each method in --out, and the stored weights of each)",
    )
    command.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="where trainings and judges are (default: runs)"
    )
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument("--port", type=int, metavar="N", help="default: a free one")
    command.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: serve(arguments))


def serve(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from benchmark.core.loopback import HOST, free_port, show_page

    port = free_port(arguments.port)
    import uvicorn

    from benchmark.editing.demo.app import make_app
    from benchmark.editing.demo.models import open_models
    from benchmark.editing.demo.sources import Uploads, rendered_faces
    from benchmark.training.device import choose_device

    models = open_models(arguments.checkpoint, arguments.out, choose_device(arguments.device))
    app = make_app(models, rendered_faces(), Uploads())
    server = uvicorn.Server(uvicorn.Config(app, HOST, port, log_level="warning", timeout_graceful_shutdown=2))
    sys.stderr.write(f"{', '.join(models.models)}; Ctrl-C ends the demo\n")
    show_page(f"http://{HOST}:{port}/", arguments.no_browser)
    with suppress(Interrupted):
        server.run()
        if not server.started:
            raise UserError(f"the port {port} cannot be used: choose another with --port")
    return EXIT_OK


if __name__ == "__main__":
    raise SystemExit(main())
