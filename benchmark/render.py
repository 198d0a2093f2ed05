"""`python -m benchmark.render`: render faces with known identity, expression, camera, gaze, action units and
landmarks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmark.core.cli import Parser, run_command, writable_file
from benchmark.core.errors import UserError, quoted, unknown
from benchmark.protocol import CAMERAS, GAZES, MAX_SEED
from benchmark.rendering.output import MOST_IDENTITIES
from benchmark.rendering.placement import PLACEMENTS
from benchmark.rendering.shots import SetSettings

SMALLEST, LARGEST = 16, 1024


def parser() -> Parser:
    """Build the argument parser."""
    parser = Parser(
        "benchmark.render",
        "Render a set of faces after RaFD's plan: every identity with 8 expressions, before the named cameras, with\n"
        "the named gazes. The same seed gives the same pictures. An interrupted run is continued by the same command.",
        [
            "python -m benchmark.render --identities 80 --size 64 --cameras 045,090,135 --out faces",
            "python -m benchmark.render --identities 4 --size 256 --cameras all --gazes all --out large --sheet s.png",
            "python -m benchmark.render --size 128 --placements all --out everywhere",
        ],
    )
    parser.add_argument("--identities", type=int, default=80, metavar="N", help="how many people (default: 80)")
    parser.add_argument("--size", type=int, default=64, metavar="S", help="pictures are S x S pixels (default: 64)")
    parser.add_argument(
        "--cameras",
        default="045,090,135",
        metavar="LIST",
        help="RaFD's codes 000 to 180, or all (default: 045,090,135)",
    )
    parser.add_argument(
        "--gazes", default="frontal", metavar="LIST", help="of frontal, left, right, or all (default: frontal)"
    )
    parser.add_argument(
        "--placements",
        default="aligned",
        metavar="LIST",
        help="of aligned, off, tilted, far, or all; a suite of non-aligned faces trains on aligned ones "
        "(default: aligned)",
    )
    parser.add_argument(
        "--only",
        metavar="LIST",
        help="render only these identities of the set, by number: 0,7,11",
    )
    parser.add_argument("--seed", type=int, default=0, help="draws the identities and all variation (default: 0)")
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="processes, one core and about 1 GB each (default: 2)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the pictures and faces.parquet"
    )
    parser.add_argument(
        "--pack",
        type=Path,
        metavar="FILE",
        help="also write the set as one Parquet file, with FILE's SHA-256 beside it",
    )
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="also write a contact sheet")
    return parser


def settings_of(arguments: argparse.Namespace) -> SetSettings:
    """Check the arguments and return the set's settings. Raises UserError."""
    _within("--identities", arguments.identities, 1, MOST_IDENTITIES)
    _within("--size", arguments.size, SMALLEST, LARGEST)
    _within("--seed", arguments.seed, 0, MAX_SEED)
    _within("--workers", arguments.workers, 1, 256)
    codes = {f"{camera:03d}": camera for camera in CAMERAS}
    cameras = tuple(codes[code] for code in _chosen("camera", arguments.cameras, tuple(codes)))
    placements = tuple(name for name in PLACEMENTS if name in _chosen("placement", arguments.placements, PLACEMENTS))
    return SetSettings(
        arguments.identities,
        arguments.size,
        cameras,
        _chosen("gaze", arguments.gazes, GAZES),
        arguments.seed,
        placements=placements,
        only=_only(arguments.only, arguments.identities),
    )


def _only(text: str | None, identities: int) -> tuple[int, ...]:
    """Parse `--only`: identity numbers, ascending; none where it was not given."""
    if text is None:
        return ()
    numbers = set()
    for word in text.split(","):
        if not word.strip().isdecimal() or len(word) > 9 or int(word) >= identities:
            raise UserError(f"--only: {quoted(word.strip())} is no number from 0 to {identities - 1}")
        numbers.add(int(word))
    return tuple(sorted(numbers)) if len(numbers) < identities else ()


def _within(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise UserError(f"{option} {value} is outside {low} to {high}")


def _chosen(kind: str, text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Parse a list of names of `known` (or "all"), in the order of `known`. Raises UserError for an unknown one."""
    if text == "all":
        return known
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise unknown(kind, word, known)
    return tuple(word for word in known if word in words)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    return run_command(lambda: render(arguments))


def render(arguments: argparse.Namespace) -> int:
    """Render the set; write the single file and the contact sheet if requested."""
    settings = settings_of(arguments)
    for option, file in (("--pack", arguments.pack), ("--sheet", arguments.sheet)):
        if file is not None and not file.parent.is_dir():
            raise UserError(f"the folder of {file} does not exist")
        if file is not None:
            writable_file(file, option)
    _need_extra()
    from benchmark.core.progress import Reporter, counted
    from benchmark.rendering import output

    with Reporter().bar("render (the first picture takes a minute)", settings.pictures()) as bar:
        advance = counted(bar)
        table = output.render_set(settings, arguments.out, arguments.workers, lambda done, _of: advance(done))
    print(f"{len(table)} pictures of {len(settings.numbers)} identities in {arguments.out}")
    if arguments.pack is not None:
        print(f"{arguments.pack}: SHA-256 {output.pack(arguments.out, arguments.pack)}")
    if arguments.sheet is not None:
        from benchmark.rendering.sheet import contact_sheet

        contact_sheet(arguments.out, arguments.sheet)
        print(f"contact sheet: {arguments.sheet}")
    return 0


def _need_extra() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("anny", "mitsuba", "scipy") if find_spec(name) is None]
    if missing:
        raise UserError(f"rendering needs {', '.join(missing)}: pip install 'fesbench[render]'")


if __name__ == "__main__":
    raise SystemExit(main())
