"""What the arithmetic runs on, and how much of it at a time."""

from __future__ import annotations

from benchmark.core.errors import UserError


def choose_device(wanted: str) -> str:
    """`cpu` or `cuda` for --device auto, cpu or cuda. Raises UserError where there is no GPU."""
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UserError("--device cuda: torch finds no GPU here; --device cpu works everywhere")
    return "cuda" if there and wanted != "cpu" else "cpu"


def compute_deterministically(device: str) -> None:
    """Have torch give the same bits for the same work; on a GPU it warns where it cannot."""
    import torch

    torch.use_deterministic_algorithms(True, warn_only=device != "cpu")
    # Else torch fills all new memory, to show programs that read what they never wrote: a tenth of a small step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


SIDE_BY_SIDE_WIDTH = 0.5
"""Widest networks (share of the published channels) of which two are trained at once on the cores of one machine: as
fast, at least, as one after the other (docs/speed.md). Wider ones gain little, and need 7 GB each.
"""


def check_jobs(asked: str) -> None:
    """Raises UserError where `--jobs` is neither a number nor auto."""
    if asked != "auto" and (not asked.isdecimal() or int(asked) < 1):
        raise UserError(f"--jobs must be a whole number of at least 1, or auto, not '{asked}'")


def choose_jobs(asked: str, device: str, threads: int, width: float) -> int:
    """`--jobs`: as asked, or for `auto` one for each GPU; on a CPU two where networks are small, else one.

    In a convolution of few channels two threads wait for each other more than they help.
    """
    check_jobs(asked)
    if asked != "auto":
        return int(asked)
    if device == "cuda":
        import torch

        return max(1, torch.cuda.device_count())
    return min(threads, 2) if width <= SIDE_BY_SIDE_WIDTH else 1
