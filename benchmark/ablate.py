"""`python -m benchmark.ablate`: the ablation, suite table2; what suite table1 has trained is shared."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.core.cli import run_command
from benchmark.run import parser, run

EXAMPLES = (
    "python -m benchmark.ablate",
    "python -m benchmark.ablate --dry-run",
    "python -m benchmark.ablate --profile reference --seeds 0,1,2",
    "python -m benchmark.ablate --profile paper --data rafd:/data/RaFD --device cuda",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser("benchmark.ablate", "table2", __doc__ or "", EXAMPLES).parse_args(argv)
    return run_command(lambda: run(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
