"""Loading weights by the published implementations' names."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from baselines.scaling import check_size, scaled
from benchmark.core.errors import UserError
from benchmark.published import load_published, parameter, translated


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.Parameter(torch.zeros(2, 3))
        self.last = nn.Linear(3, 2, bias=False)


NAMES = {"a.0": "heads[0]", "a.1": "heads[1]", "b": "last.weight"}


def tensors() -> dict[str, torch.Tensor]:
    return {"a.0": torch.ones(3), "a.1": torch.full((3,), 2.0), "b": torch.arange(6.0).view(2, 3, 1, 1)}


def test_slices_and_1x1_convolutions_find_their_place() -> None:
    network = Small()
    load_published(network, {**tensors(), "running": torch.zeros(1)}, NAMES, skipped={"running"})
    assert network.heads.tolist() == [[1, 1, 1], [2, 2, 2]]
    assert torch.equal(network.last.weight, torch.arange(6.0).view(2, 3))
    assert parameter(network, "heads[1]").tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b": None}, "lacks 1 parameters, the first is 'b'"),
        ({"c": torch.zeros(1)}, "another network, the first is 'c'"),
        ({"b": torch.zeros(3, 2)}, r"'b' is \(3, 2\), this network's is \(2, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_changes(
    change: dict[str, torch.Tensor | None], message: str
) -> None:
    network = Small()
    inputs = {name: tensor for name, tensor in {**tensors(), **change}.items() if tensor is not None}
    with pytest.raises(UserError, match=message):
        load_published(network, inputs, NAMES)
    assert not network.heads.any()


def test_rules_apply_in_order() -> None:
    assert translated(["x.1.y", "z"], [(r"^x\.(\d)\.", r"w.\1."), (r"y$", "v"), (r"^z", "u")]) == {
        "w.1.v": "x.1.y",
        "u": "z",
    }


def test_width_and_size_have_limits() -> None:
    assert scaled(64, 1.0) == 64
    assert scaled(64, 0.125) == 8
    assert scaled(64, 0.001) == 4
    with pytest.raises(UserError, match="width must be above 0"):
        scaled(64, 0.0)
    for size in (4, 30):
        with pytest.raises(UserError, match=f"not {size}"):
            check_size("X", size)
