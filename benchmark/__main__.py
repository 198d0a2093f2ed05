"""`python -m benchmark` lists the commands."""

from __future__ import annotations

import sys

from benchmark.core.cli import EXIT_USAGE, run_command

COMMANDS = {
    "prepare": "check a data set: what is there, missing and broken; and prepare it for a suite",
    "run": "train, synthesise, measure and report a suite",
    "train": "only the missing trainings of suites, several on one GPU, until a time",
    "ablate": "the same for the ablation, Table 2: only what Table 1 has not trained is trained",
    "tune": "choose settings by the same number of equally long trials for every method, on validation identities",
    "reference": "store finished trainings with their scores, for everyone who has this repository",
    "edits": "write the edits that a suite asks for, for programs made elsewhere",
    "score": "score such a program's pictures as a row of the table; or compare any two folders of pictures",
    "compare": "say in which metrics one row of finished results is better than another, and how sure that is",
    "page": "write one page over several results: a leaderboard with ranks and intervals",
    "regress": "say whether a change made anything worse than stored results, or store results",
    "verify": "make a finished run again, and say of each stage whether it came out the same",
    "ui": "open MLflow on the latest finished suite, all rows side by side",
    "synthesize": "edit photographs of your own with a trained model",
    "demo": "edit a face in the browser with every method, side by side",
    "import_checkpoint": "make a checkpoint of a published one",
    "render": "render a set of faces with exact ground truth",
}


def main() -> int:
    """Print the list of commands; `python -m benchmark.NAME --help` describes each."""
    width = max(map(len, COMMANDS))
    lines = [f"  python -m benchmark.{name.ljust(width)}  {summary}" for name, summary in COMMANDS.items()]
    text = "\n".join(["fesbench, the commands (each has --help):", *lines]) + "\n"
    if sys.argv[1:] and sys.argv[1:] not in (["-h"], ["--help"]):
        sys.stderr.write(text)
        return EXIT_USAGE
    return run_command(lambda: sys.stdout.write(text) * 0)


if __name__ == "__main__":
    raise SystemExit(main())
