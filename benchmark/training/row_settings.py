"""The settings of a row, resolved in one place: width of the profile < its overrides < variant of the row."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from benchmark.config.profiles import Profile
from benchmark.core.errors import UserError
from benchmark.settings import make_settings
from benchmark.training.registry import find_method


def row_settings(method: str, profile: Profile, variant: Mapping[str, Any]) -> Any:
    """The settings of a method: defaults < width < overrides of the profile < variant of the row.

    Raises UserError for a name that the method does not have and for a value that it does not take.
    """
    cls: type[Any] = find_method(method).Settings
    scales = any(field.name == "width" for field in dataclasses.fields(cls))
    width = {"width": profile.width} if scales and profile.width != 1 else {}
    stated = profile.overrides.get(method)
    overrides = {**width, **(stated.settings if stated else {}), **variant}
    where = f"profile {profile.name}, {'variant' if variant else 'overrides'} of {method}"
    try:
        return make_settings(cls, overrides, where)
    except ValueError as error:  # raised by the settings themselves
        raise UserError(f"{where}: {error}") from error
