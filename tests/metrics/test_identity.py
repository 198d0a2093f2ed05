"""The identity network: dlib's own numbers, its cut, and people told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmark.core.errors import UserError
from benchmark.data.faceset import FaceSet
from benchmark.metrics.features.dlib_network import IdentityWeights, find_identity_weights, load_network
from benchmark.metrics.features.identity import SIDE, cut_faces, open_dlib_identity
from tests.metrics.committed import committed_faces

dlib = pytest.importorskip("dlib")


@pytest.fixture(scope="module")
def weights() -> IdentityWeights:
    found = find_identity_weights()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    """Three expressions of six people of the committed set, from the front."""
    return committed_faces(people=6, expressions=("neutral", "happy", "surprised"))


def dlib_chip(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """What dlib cuts out by 5 landmarks, in its order: outer and inner corner of the right and left eye, nose."""
    points = [dlib.point(*(round(float(each)) for each in landmarks[index])) for index in (45, 42, 36, 39, 33)]
    box = dlib.rectangle(0, 0, image.shape[1] - 1, image.shape[0] - 1)
    chip = dlib.get_face_chip(np.ascontiguousarray(image), dlib.full_object_detection(box, points), SIDE, 0.25)
    return np.asarray(chip)


def test_the_network_is_dlibs(weights: IdentityWeights, faces: FaceSet) -> None:
    chips = np.stack(
        [dlib_chip(image, points) for image, points in zip(faces.images[:3], faces.landmarks, strict=False)]
    )
    theirs = dlib.face_recognition_model_v1(str(weights.path)).compute_face_descriptor(list(chips))
    with torch.inference_mode():
        ours = load_network(weights)(torch.from_numpy(chips).permute(0, 3, 1, 2).float())
    np.testing.assert_allclose(ours.numpy(), np.array(theirs), atol=1e-5)


def test_faces_are_cut_out_as_dlib_does(faces: FaceSet) -> None:
    """dlib rounds landmarks and cuts from a pyramid, so a picture of 4 times the size is compared, after smoothing."""
    large = faces.images[:2].repeat(4, 1).repeat(4, 2)
    landmarks = 4 * faces.landmarks[:2] + 1.5
    ours = cut_faces(large, landmarks).numpy().transpose(0, 2, 3, 1)
    for mine, image, points in zip(ours, large, landmarks, strict=True):
        off = np.abs(mine - dlib_chip(image, points))
        assert off.mean() < 4
        mirrored = np.abs(mine[:, ::-1] - dlib_chip(image, points)).mean()
        assert off.mean() < mirrored / 2


def test_people_are_told_apart(weights: IdentityWeights, faces: FaceSet) -> None:
    described = open_dlib_identity(weights, "cpu").describe(faces.images, faces.landmarks)
    people = faces.table["identity"].to_numpy()
    distance = np.linalg.norm(described[:, None] - described[None], axis=2)
    same = people[:, None] == people[None]
    np.fill_diagonal(same, False)
    other = people[:, None] != people[None]
    assert distance[same].mean() < 0.45
    assert distance[other].mean() > distance[same].mean() + 0.1
    assert np.mean(distance[same][:, None] < distance[other][None]) > 0.9


def test_faces_without_landmarks_are_not_described(weights: IdentityWeights, faces: FaceSet) -> None:
    landmarks = faces.landmarks[:2].copy()
    landmarks[1, 5] = np.nan
    described = open_dlib_identity(weights, "cpu").describe(faces.images[:2], landmarks)
    assert np.isfinite(described[0]).all()
    assert np.isnan(described[1]).all()


@pytest.mark.parametrize("content", [b"", b"no network", b"con_4\x01\x02\x01\x07\x01\x01\x01\x01\x01\x01" + bytes(28)])
def test_a_file_that_is_no_network_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "network.dat"
    path.write_bytes(content)
    with pytest.raises(UserError, match="holds no network that can be read"):
        load_network(IdentityWeights(path, ""))
