"""Published channel counts at another width, and image sizes that the networks allow."""

from __future__ import annotations

from benchmark.core.errors import UserError


def scaled(channels: int, width: float) -> int:
    """Scale a published channel count by `width` (1.0: as published), to at least 4.

    Raises UserError for a width that is not positive.
    """
    if width <= 0:
        raise UserError(f"width must be above 0, not {width}")
    return max(4, round(channels * width))


def check_size(method: str, size: int, smallest: int = 8) -> None:
    """Refuse an image size that two halvings do not divide, or that is too small. Raises UserError."""
    if size < smallest or size % 4:
        raise UserError(f"{method}: images must be a multiple of 4 pixels and at least {smallest} wide, not {size}")
