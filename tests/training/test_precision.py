"""Coarser products: what they change, what they leave alone, where they are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmark.config.profiles import load_profile
from benchmark.core.errors import UserError
from benchmark.data.registry import open_source
from benchmark.interface import Progress, Shape
from benchmark.settings import make_settings
from benchmark.stages.prepare import Prepare
from benchmark.stages.train import Train
from benchmark.training import precision
from benchmark.training.precision import arithmetic, check_precision
from benchmark.training.registry import METHODS, find_method
from tests.baselines.steps import faces
from tests.plain.compare import step


@pytest.mark.parametrize(
    "product",
    [
        lambda x, w: F.conv2d(x, w, padding=1),
        lambda x, w: F.conv_transpose2d(x, w.transpose(0, 1)),
        lambda x, w: F.linear(x.flatten(2), w.flatten(2)[0, 0].repeat(7, 4)[:, :36]),
        lambda x, w: torch.einsum("nchw,ocij->nohwij", x, w),
        lambda x, w: x.flatten(2) @ x.flatten(2).transpose(1, 2),
    ],
)
def test_products_are_of_rounded_factors_and_all_else_is_float32(product: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 6, 6, generator=generator)
    w = torch.randn(5, 4, 3, 3, generator=generator)
    exact = product(x, w)
    with arithmetic("bfloat16"):
        coarse, mean = product(x, w), x.mean()
        assert coarse.dtype == torch.float32
        assert F.instance_norm(x).dtype == torch.float32
    with arithmetic("float32"):
        assert torch.equal(product(x, w), exact)
    assert torch.equal(mean, x.mean())
    assert torch.equal(coarse, product(x.bfloat16(), w.bfloat16()).float())
    assert not torch.equal(coarse, exact)
    torch.testing.assert_close(coarse, exact, atol=0.1, rtol=0.02)


@pytest.mark.parametrize("channels", [8, 12, 16])
def test_no_convolution_is_spoiled(channels: int) -> None:
    """Of all kernels up to 10 x 10 and all numbers of channels up to 32, oneDNN 3.13 with AMX fails these alone."""
    generator = torch.Generator().manual_seed(0)
    for product in (F.conv2d, F.conv_transpose2d):
        x = torch.randn(2, channels, 32, 32, generator=generator).requires_grad_()
        w = torch.randn(channels, channels, 8, 8, generator=generator, requires_grad=True)
        actual = {}
        for name in ("float32", "bfloat16"):
            with arithmetic(name):
                y = product(x, w, stride=2, padding=3)
                actual[name] = (y, *torch.autograd.grad(y.square().sum(), (x, w)))
        for exact, coarse in zip(*(map(torch.Tensor.detach, result) for result in actual.values()), strict=True):
            assert float((exact - coarse).norm() / exact.norm()) < 0.02, product


def test_a_penalty_of_gradients_is_differentiated() -> None:
    torch.manual_seed(0)  # the bound is of these weights
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(8 * 36, 1))
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    actual = {}
    for name in ("float32", "bfloat16"):
        with arithmetic(name):
            seen = images.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(network(seen).sum(), seen, create_graph=True)
            network.zero_grad()
            gradient.square().sum().backward()
        actual[name] = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
    assert actual["bfloat16"].dtype == torch.float32
    torch.testing.assert_close(actual["bfloat16"], actual["float32"], atol=0.02, rtol=0.05)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_makes_nearly_the_same_step(name: str) -> None:
    stated = load_profile("quick").overrides[name].settings
    kind = find_method(name)
    torch.manual_seed(0)
    method = kind(make_settings(kind.Settings, {**stated, "width": 0.125}, "test"), Shape(32))
    taken = {}
    for precise in ("float32", "bfloat16"):
        torch.manual_seed(1)
        with arithmetic(precise):
            taken[precise] = step(method, faces(size=32, seed=2), Progress(4, 100))
    exact, coarse = taken["float32"], taken["bfloat16"]
    for loss, value in exact.losses.items():
        assert coarse.losses[loss].dtype == torch.float32
        assert float(coarse.losses[loss]) == pytest.approx(float(value), abs=0.05, rel=0.1), loss
    assert [update for update, _ in coarse.updates] == [update for update, _ in exact.updates]
    for (update, actual), (_, wanted) in zip(coarse.updates, exact.updates, strict=True):
        flat = [torch.cat([gradient.flatten() for gradient in one.values()]) for one in (actual, wanted)]
        assert flat[0].dtype == torch.float32
        assert not torch.equal(*flat)
        likeness = float(F.cosine_similarity(*flat, dim=0))
        assert likeness > 0.8, f"{update}: {likeness}"


def test_what_is_set_is_set_back() -> None:
    backends: Any = torch.backends
    before = backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32, backends.cudnn.benchmark
    for name, tf32 in (("float32", False), ("tf32", True), ("bfloat16", False)):
        with arithmetic(name):  # type: ignore[arg-type]
            assert backends.cuda.matmul.allow_tf32 is backends.cudnn.allow_tf32 is tf32
            assert not backends.cudnn.benchmark
        assert (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32, backends.cudnn.benchmark) == before


def test_a_processor_without_the_units_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"precision tf32 is for a GPU; this runs on the CPU: take float32"):
        check_precision("tf32", "cpu")
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: False)
    with pytest.raises(UserError, match=r"precision bfloat16: this CPU has no bfloat16 units"):
        check_precision("bfloat16", "cpu")
    check_precision("float32", "cpu")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    for asked in ("tf32", "bfloat16"):
        with pytest.raises(UserError, match=rf"precision {asked}: a card has no \w+ units: take float32"):
            check_precision(asked, "cuda")  # type: ignore[arg-type]


def test_only_a_precision_that_is_not_the_defaults_is_in_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.training.precision.cpu_has_bfloat16", lambda: True)
    profile = load_profile("quick")
    prepare = Prepare(open_source("rendered", tmp_path), 64)
    exact, coarse = (
        Train(prepare, "efgan", {}, "F", dataclasses.replace(profile, precision=name), 0, "cpu")
        for name in ("float32", "bfloat16")
    )
    assert "precision" not in exact.recipe.settings
    assert coarse.recipe.settings["precision"] == "bfloat16"
    assert exact.recipe.key != coarse.recipe.key
    assert exact.footnote == find_method("efgan").footnote
    assert coarse.footnote.endswith(
        "Trained with convolutions and matrix products in bfloat16 (7 bits of mantissa), all else in float32."
    )
    assert coarse.name == "train efgan bfloat16 F seed 0"
    assert exact.work().rate != coarse.work().rate
