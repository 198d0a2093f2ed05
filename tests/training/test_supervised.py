"""The shared parts of judge and reader: learning rate, weight decay, what a saved state belongs to."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.core.errors import UserError
from benchmark.training.sampling import TrainingSet
from benchmark.training.supervised import (
    BATCH,
    adamw,
    in_order,
    load_network,
    one_cycle,
    save_network,
    training_identity,
)


@dataclasses.dataclass(frozen=True)
class Settings:
    epochs: int = 2


def pictures(count: int = 5) -> TrainingSet:
    rng = np.random.default_rng(0)
    return TrainingSet(rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8), np.arange(count))


def test_one_cycle_is_a_line_and_then_torchs_cosine() -> None:
    steps, rise = 40, 10
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    line = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / rise, 1.0, rise - 1)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - rise)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [line, cosine], [rise - 1])
    expected = []
    for _ in range(steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert [one_cycle((step + 1) / steps, rise / steps) for step in range(steps)] == pytest.approx(expected, abs=1e-12)


def test_vectors_have_no_weight_decay() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
    decayed, others = adamw(network, 0.1, 0.5).param_groups
    assert [parameter.dim() for parameter in decayed["params"]] == [4]
    assert [parameter.dim() for parameter in others["params"]] == [1, 1, 1]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.5, 0.0)


def test_pictures_come_in_order() -> None:
    data = pictures(BATCH + 3)
    parts = list(in_order(data))
    assert max(len(indices) for indices, _ in parts) <= BATCH
    assert np.array_equal(np.concatenate([images.numpy() for _, images in parts]), data.images)


def test_all_that_decides_the_weights_is_in_the_identity() -> None:
    data = pictures()
    other = data.images.copy()
    other[-1, 0, 0, 0] ^= 1
    identities = [
        training_identity(data, data.labels, Settings(), 0),
        training_identity(data, data.labels, Settings(3), 0),
        training_identity(data, data.labels, Settings(), 1),
        training_identity(data, data.labels[::-1].copy(), Settings(), 0),
        training_identity(dataclasses.replace(data, images=other), data.labels, Settings(), 0),
    ]
    assert len(set(identities)) == len(identities)
    assert training_identity(pictures(), data.labels, Settings(), 0) == identities[0]


def test_a_network_comes_back_and_damage_is_named(tmp_path: Path) -> None:
    network = nn.Linear(2, 3)
    save_network(tmp_path, "eye", network, {"inputs": 2})

    def build(description: dict[str, int], weights: dict[str, torch.Tensor]) -> nn.Linear:
        built = nn.Linear(description["inputs"], 3)
        built.load_state_dict(weights)
        return built

    assert torch.equal(load_network(tmp_path, "eye", build).weight, network.weight)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["eye.json", "eye.safetensors"]
    (tmp_path / "eye.json").write_text('{"inputs": 4}')
    with pytest.raises(UserError, match="holds no eye that can be read"):
        load_network(tmp_path, "eye", build)
