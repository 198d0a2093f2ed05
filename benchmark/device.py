"""What the arithmetic runs on."""

from __future__ import annotations

from benchmark.errors import UserError


def choose_device(wanted: str) -> str:
    """`cpu` or `cuda` for --device auto, cpu or cuda. Raises UserError where there is no GPU."""
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UserError("--device cuda: torch finds no GPU here; --device cpu works everywhere")
    return "cuda" if there and wanted != "cpu" else "cpu"
