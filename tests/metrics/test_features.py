"""The feature networks: Inception against pytorch-fid's class, EfficientNet-Lite0 against a picture that it knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytorch_fid import inception as published_inception
from skimage import data as skimage_data

from benchmark.core.errors import UserError
from benchmark.metrics.features import FeatureExtractor, lite0, open_extractor
from benchmark.metrics.features.network import load_exactly, read_state
from benchmark.metrics.features.weights import lite0_file, sha256_of
from tests.metrics.random_inception import write_random_weights

data: Any = skimage_data


def pictures(count: int, side: int = 64) -> NDArray[np.uint8]:
    """Crops of a photograph."""
    photograph = np.asarray(data.astronaut())
    starts = np.random.default_rng(0).integers(0, 512 - side, (count, 2))
    return np.stack([photograph[y : y + side, x : x + side] for y, x in starts])


def close(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """The relative difference of two sets of features."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_weights(tmp_path_factory.mktemp("weights") / "random.pth")


@pytest.fixture(scope="module")
def random_inception(random_weights: Path) -> FeatureExtractor:
    return open_extractor("inception", random_weights, allow_other_weights=True)


def test_inception_is_pytorch_fids(
    random_weights: Path, random_inception: FeatureExtractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any, **__: Any) -> dict[str, torch.Tensor]:
        return read_state(random_weights)

    monkeypatch.setattr(published_inception, "load_state_dict_from_url", load)
    theirs = published_inception.InceptionV3([3]).eval()
    images = pictures(3)
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(images).permute(0, 3, 1, 2) / 255.0)[0].flatten(1).numpy()
    actual = random_inception.features(images)
    assert actual.shape == (3, random_inception.dimensions)
    assert expected.std() > 1e-3
    assert close(actual, expected) < 1e-5


def test_other_inception_weights_are_named_by_their_digest(
    random_weights: Path, random_inception: FeatureExtractor
) -> None:
    digest = sha256_of(random_weights)
    assert random_inception.column == f"FD[{digest[:8]}]"
    assert random_inception.identity == digest
    assert not random_inception.comparable
    with pytest.raises(UserError, match="--allow-other-weights"):
        open_extractor("inception", random_weights)


def test_files_of_other_networks_are_refused(tmp_path: Path, random_weights: Path) -> None:
    lite0_weights = lite0_file()
    with pytest.raises(UserError, match="does not fit pytorch-fid's Inception: it lacks 'Conv2d_1a_3x3"):
        open_extractor("inception", lite0_weights, allow_other_weights=True)
    broken = tmp_path / "broken.pth"
    broken.write_bytes(random_weights.read_bytes()[:100_000])
    with pytest.raises(UserError, match="not a file of PyTorch weights") as raised:
        open_extractor("inception", broken, allow_other_weights=True)
    assert "\n" not in str(raised.value)
    torch.save([1, 2], broken)
    with pytest.raises(UserError, match="no state dict"):
        read_state(broken)
    with pytest.raises(UserError, match="does not hold EfficientNet-Lite0"):
        lite0.renamed(read_state(random_weights), lite0.build(), random_weights)


def test_a_file_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    path = tmp_path / "trap.pth"
    torch.save({"weight": Trap()}, path)
    with pytest.raises(UserError, match="not a file of PyTorch weights"):
        read_state(path)
    assert not (tmp_path / "sprung").exists()


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    return open_extractor("efficientnet-lite0")


def test_lite0_has_its_published_order_and_names(extractor: FeatureExtractor) -> None:
    state, network = read_state(lite0_file()), lite0.build(classes=1000)
    names = lite0.renamed(state, network, lite0_file())
    assert len(names) == 247
    # The order is the only link between the two; these are the names that must meet.
    for theirs, ours in {
        "_conv_stem.weight": "conv_stem.weight",
        "_blocks.0._depthwise_conv.weight": "blocks.0.0.conv_dw.weight",
        "_blocks.1._expand_conv.weight": "blocks.1.0.conv_pw.weight",
        "_blocks.15._bn2.running_var": "blocks.6.0.bn3.running_var",
        "_fc.bias": "classifier.bias",
    }.items():
        assert names[ours] is state[theirs]
    assert (extractor.column, extractor.comparable, extractor.dimensions) == ("FD[lite0]", False, 1280)


def test_lite0_knows_a_cat() -> None:
    """With the classifier on: weights in the wrong places or another normalisation would not know scikit-image's
    cat."""
    network = lite0.build(classes=1000)
    load_exactly(network, lite0.renamed(read_state(lite0_file()), network, lite0_file()), lite0_file(), "lite0")
    cat = np.asarray(data.chelsea())[None, :300, 75:375].copy()
    with torch.inference_mode():
        inputs = lite0.prepare(torch.from_numpy(cat).permute(0, 3, 1, 2).float())
        probabilities = network.eval()(inputs).softmax(1)[0]
    domestic_cats = slice(281, 286)
    assert float(probabilities[domestic_cats].sum()) > 0.85


def test_folding_keeps_the_function(extractor: FeatureExtractor) -> None:
    network = lite0.build()
    load_exactly(network, lite0.renamed(read_state(lite0_file()), network, lite0_file()), lite0_file(), "lite0")
    images = pictures(3)
    with torch.inference_mode():
        inputs = lite0.prepare(torch.from_numpy(images).permute(0, 3, 1, 2).float())
        expected = network.eval()(inputs).numpy()
    assert close(extractor.features(images), expected) < 1e-5


FINGERPRINT_MEAN = (0.20608775, 0.20967872)
FINGERPRINT_NORM = (15.3014334, 15.9114348)


def test_lite0_fingerprint(extractor: FeatureExtractor) -> None:
    """Numbers of this version: where they move, scores are no longer comparable with stored ones."""
    actual = extractor.features(pictures(2)).astype(np.float64)
    np.testing.assert_allclose(actual.mean(axis=1), FINGERPRINT_MEAN, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(actual, axis=1), FINGERPRINT_NORM, rtol=1e-5)


def test_an_image_has_the_same_features_in_any_company(extractor: FeatureExtractor) -> None:
    images = pictures(7)
    together = extractor.features(images)
    alone = np.concatenate([extractor.features(images[i : i + 1]) for i in range(7)])
    assert close(alone, together) < 1e-6
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        np.testing.assert_array_equal(extractor.features(images), together)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_progress_counts_every_image_once(extractor: FeatureExtractor) -> None:
    seen: list[int] = []
    extractor.features(pictures(5), seen.append)
    assert seen == sorted(set(seen))
    assert seen[-1] == 5


def test_no_images_have_no_features(extractor: FeatureExtractor) -> None:
    assert extractor.features(np.empty((0, 64, 64, 3), np.uint8)).shape == (0, 1280)
    with pytest.raises(ValueError, match="uint8"):
        extractor.features(np.zeros((1, 64, 64, 3), np.float32))
