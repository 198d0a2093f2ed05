"""A network of one's own as a feature space: TorchScript and ONNX files that compute what is known."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from benchmark import score
from benchmark.config.networks import OwnNetwork, is_own_network
from benchmark.core.errors import UserError
from benchmark.metrics.features import open_extractor
from benchmark.metrics.frechet import frechet_distance
from benchmark.metrics.own_network import column_name, own_metrics
from tests.metrics.test_score import crops, write

HALF = {"side": 16, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.25, 0.5]}


class Means(nn.Module):
    """The mean of each channel over 4 x 4 blocks."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, 4).flatten(1)


def torchscript(folder: Path, **preprocessing: object) -> Path:
    path = folder / "means.pt"
    torch.jit.script(Means()).save(str(path))
    path.with_suffix(".yaml").write_text(yaml.safe_dump({**HALF, **preprocessing}))
    return path


def field(number: int, content: bytes | str | int) -> bytes:
    """A field of protobuf's wire format: a varint, or a length and bytes."""

    def varint(value: int) -> bytes:
        low, rest = value & 0x7F, value >> 7
        return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])

    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    data = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(data)) + data


def onnx(folder: Path) -> Path:
    """AveragePool over 4 x 4 and Flatten, as ModelProto: the same function as `Means`."""

    def ints(name: str) -> bytes:
        return field(5, field(1, name) + field(8, 4) * 2 + field(20, 7))

    def value(name: str, dimensions: tuple[str | int, ...]) -> bytes:
        shape = b"".join(field(1, field(2, each) if isinstance(each, str) else field(1, each)) for each in dimensions)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))

    pool = field(1, "x") + field(2, "pooled") + field(4, "AveragePool") + ints("kernel_shape") + ints("strides")
    flat = field(1, "pooled") + field(2, "y") + field(4, "Flatten")
    graph = field(1, pool) + field(1, flat) + field(2, "means")
    graph += field(11, value("x", ("n", 3, 16, 16))) + field(12, value("y", ("n", 48)))
    path = folder / "means.onnx"
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13)))
    path.with_suffix(".yaml").write_text(yaml.safe_dump(HALF))
    return path


def by_hand(images: np.ndarray) -> np.ndarray:
    """Of pictures of 16 x 16, which no resize changes."""
    unit = (images / 255 - 0.5) / np.array([0.5, 0.25, 0.5])
    blocks = unit.reshape(len(images), 4, 4, 4, 4, 3).mean((2, 4))
    return blocks.transpose(0, 3, 1, 2).reshape(len(images), -1)


@pytest.mark.parametrize("kind", [torchscript, onnx])
def test_features_are_the_networks_of_prepared_pictures(kind: object, tmp_path: Path) -> None:
    path = kind(tmp_path)  # type: ignore[operator]
    extractor = open_extractor(str(path))
    images = crops(5, 0, 16)
    np.testing.assert_allclose(extractor.features(images), by_hand(images), atol=1e-5)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (extractor.column, extractor.identity, extractor.dimensions) == (f"FD[{digest[:8]}]", digest, 48)
    assert not extractor.comparable


def test_channels_may_be_swapped(tmp_path: Path) -> None:
    images = crops(3, 0, 16)
    even = {"mean": [0.5] * 3, "std": [0.5] * 3}
    rgb = open_extractor(str(torchscript(tmp_path, **even))).features(images)
    bgr = open_extractor(str(torchscript(tmp_path, **even, channels="bgr"))).features(images)
    np.testing.assert_array_equal(bgr.reshape(3, 3, 16), rgb.reshape(3, 3, 16)[:, ::-1])


def test_two_folders_are_scored_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = torchscript(tmp_path)
    real, fake = crops(6, 0, 16), crops(6, 1, 16)
    fake[0] = real[0]
    folders = [write(tmp_path / "real", real), write(tmp_path / "fake", fake)]
    call = ["--real", str(folders[0]), "--fake", str(folders[1]), "--features", str(path), "--allow-small", "--quiet"]
    assert score.main([*call, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    a, b = by_hand(real), by_hand(fake)
    assert result["scores"]["fid"] == pytest.approx(frechet_distance(b, a), rel=1e-4)
    cosine = np.sum(a * b, 1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert result["scores"]["own_similarity"] == pytest.approx(cosine.mean(), rel=1e-4)
    labels = {metric["key"]: metric["label"] for metric in result["metrics"]}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    assert (labels["fid"], labels["own_similarity"]) == (f"FD[{digest}]", f"Similarity[{digest}]")
    assert score.main(call) == 0
    assert f"Similarity[{digest}]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"side": 4}, "side must be"), ({"std": [1.0, 0.0, 1.0]}, "std"), ({"resize": "nearest"}, "resize must be"),
        ({"mean": [0.5]}, "mean"), ({"colour": 1}, "colour"), ({"crop": "head"}, "crop must be"),
        ({"measures": []}, "measures are none"), ({"measures": ["fid"]}, "measure 1 must be"),
    ],
)  # fmt: skip
def test_wrong_preprocessing_is_one_line(tmp_path: Path, change: dict[str, object], error: str) -> None:
    with pytest.raises(UserError, match=error) as caught:
        open_extractor(str(torchscript(tmp_path, **change)))
    assert "\n" not in str(caught.value)
    assert "means.yaml" in str(caught.value)


def test_faces_are_not_cut_out_of_pictures_in_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"crop: face in means\.yaml.*folders have none: cut the faces out") as caught:
        open_extractor(str(torchscript(tmp_path, crop="face")))
    assert "\n" not in str(caught.value)


def test_columns_are_named_by_the_file_and_its_hash() -> None:
    described = OwnNetwork("x", 112, [0.5] * 3, [0.5] * 3, crop="face")
    distance, kernel, similarity = own_metrics("ar|c [fa]ce{0}.v2.onnx", "0123456789abcdef" * 4, described)
    assert [each.label for each in (distance, kernel, similarity)] == [
        "FD[ar-c-fa-ce-0-.v2@01234567]", "KD[ar-c-fa-ce-0-.v2@01234567] × 1000",
        "Similarity[ar-c-fa-ce-0-.v2@01234567]",
    ]  # fmt: skip
    assert distance.describe("FD[lite0]").label == distance.describe("FID").label == distance.label
    assert (distance.key, kernel.key, similarity.key) == ("fd_01234567", "kd_01234567", "similarity_01234567")
    assert (distance.needs, similarity.needs) == (
        ("features", "landmarks"),
        ("source picture", "features", "landmarks"),
    )
    assert column_name(".pt", "f" * 64) == "network@ffffffff"
    (alone,) = own_metrics("a.pt", "f" * 64, dataclasses.replace(described, measures=("similarity",)))
    assert alone.label == "Similarity[a@ffffffff]"


def test_without_preprocessing_it_is_refused_before_it_runs(tmp_path: Path) -> None:
    path = torchscript(tmp_path)
    path.with_suffix(".yaml").unlink()
    path.write_bytes(b"a program")
    with pytest.raises(UserError, match=r"means\.yaml beside it"):
        open_extractor(str(path))


@pytest.mark.parametrize("name", ["means.pt", "means.onnx"])
def test_a_file_that_is_no_network_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing")
    (tmp_path / "means.yaml").write_text(yaml.safe_dump(HALF))
    with pytest.raises(UserError, match=r"is no (TorchScript|ONNX) file") as caught:
        open_extractor(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_networks_that_describe_no_picture_are_refused(tmp_path: Path) -> None:
    class Single(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean()

    class Infinite(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :2] / 0.0

    for network, error in ((Single(), "where 2 x D numbers are needed"), (Infinite(), "not finite")):
        path = torchscript(tmp_path)
        torch.jit.script(network).save(str(path))
        with pytest.raises(UserError, match=error):
            open_extractor(str(path))


def test_the_command_refuses_what_it_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(write(tmp_path / "real", crops(2, 0, 16)))
    for call, error in (
        (["--real", folder, "--fake", folder, "--features", "resnet"], "invalid choice: 'resnet'"),
        (["--edits", folder, "--results", folder, "--name", "x", "--features", "net.pt"], "scores no row"),
    ):
        with pytest.raises(SystemExit) as stopped:
            score.main(call)
        assert stopped.value.code == 2
        assert error in capsys.readouterr().err
    assert score.main(["--real", folder, "--fake", folder, "--features", "net.pt", "--allow-small"]) == 2
    assert "net.pt is missing" in capsys.readouterr().err
    assert is_own_network("a/b.ONNX")
    assert not is_own_network("inception")
