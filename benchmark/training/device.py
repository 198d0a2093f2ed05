"""The device to compute on, and how many stages run at once."""

from __future__ import annotations

from benchmark.core.errors import UserError, quoted


def choose_device(wanted: str) -> str:
    """Choose `cpu` or `cuda` for --device auto, cpu or cuda. Raises UserError for cuda without a GPU."""
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UserError("--device cuda: torch finds no GPU here; --device cpu works everywhere")
    return "cuda" if there and wanted != "cpu" else "cpu"


def compute_deterministically(device: str) -> None:
    """Make torch give the same bits for the same work; on a GPU it warns where it cannot."""
    import torch

    torch.use_deterministic_algorithms(True, warn_only=device != "cpu")
    # Otherwise torch fills all new memory, which takes a tenth of a small step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


MOST_THREADS = 1024
SIDE_BY_SIDE_WIDTH = 0.5
"""Widest networks, as a share of the published channels, of which a CPU trains two at once.

That is at least as fast as one after the other (docs/speed.md); wider networks gain little and need 7 GB each.
"""


def check_jobs(jobs: str) -> None:
    """Raises UserError where `--jobs` is neither a number nor auto."""
    if jobs != "auto" and (not jobs.isdecimal() or len(jobs) > 4 or int(jobs) < 1):
        raise UserError(f"--jobs must be a whole number of at least 1, or auto, not {quoted(jobs)}")


def check_threads(threads: int | None) -> None:
    """Raises UserError where `--threads` is given and no number of threads that a process can have."""
    if threads is not None and threads < 1:
        raise UserError(f"--threads must be at least 1, not {quoted(threads)}")
    if threads is not None and threads > MOST_THREADS:
        raise UserError(f"--threads must be at most {MOST_THREADS:,}, not {quoted(threads)}")


def choose_jobs(jobs: str, device: str, threads: int, width: float) -> int:
    """Choose the number of jobs for `--jobs`; `auto` is one for each GPU, on a CPU two for narrow networks, else one.

    Two threads that share a convolution of few channels mostly wait for each other.
    """
    check_jobs(jobs)
    if jobs != "auto":
        return int(jobs)
    if device == "cuda":
        import torch

        return max(1, torch.cuda.device_count())
    return min(threads, 2) if width <= SIDE_BY_SIDE_WIDTH else 1
