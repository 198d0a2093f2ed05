"""A small suite that several files look at: run without networks of one's own and then in two, with claims."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml

from benchmark import run
from benchmark.data.faceset import FaceSet
from benchmark.report.results import SuiteResults, load_results
from tests.block_features import blocks_as_features
from tests.metrics.test_own_network import HALF, Means, onnx
from tests.pipeline.test_pipeline import configure, report_of, times

SIDE = 32
CLAIMS = {
    "edits-are-no-copies": {"row": "d-t", "metric": "psnr_src", "direction": "lower", "value": 60, "margin": 1},
    "labels-lead-nearer": {"row": "d-t", "over": "d-r", "metric": "psnr_true", "direction": "higher", "margin": 3},
    "half-is-named": {"row": "d-r", "metric": "ca", "direction": "higher", "value": 50},
}
"""Parts of claims about the suite's rows, by the claim's id."""


@dataclass(frozen=True)
class House:
    """A suite that was run without networks, then in two."""

    call: list[str]
    out: Path
    networks: dict[str, str]
    """File and SHA-256 of `means`, of whole pictures, and of `faces`, the same network for tight face boxes."""
    before: dict[Path, int]
    """Files of the run without, and when they were written."""
    plain: SuiteResults

    def key(self, kind: str, name: str) -> str:
        return f"{kind}_{self.networks[name][:8]}"

    @property
    def report(self) -> Path:
        return next(path for path in (self.out / "reports").iterdir() if "arcface" in (path / "table.csv").read_text())

    @property
    def suite(self) -> Path:
        return self.out.parent / "dummies.yaml"

    @property
    def faces(self) -> FaceSet:
        (folder,) = (self.out / "faces").iterdir()
        return FaceSet.load(folder)


def describe(path: Path, **fields: object) -> Path:
    """Write the file beside a network."""
    path.with_suffix(".yaml").write_text(yaml.safe_dump({**HALF, "side": SIDE, **fields}))
    return path


def save(path: Path, network: torch.nn.Module) -> Path:
    torch.jit.script(network).save(str(path))
    return describe(path)


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory, make_faces: Callable[..., Path]) -> House:
    folder = tmp_path_factory.mktemp("house")
    call = [*configure(folder), "--data", f"rendered:{make_faces(identities=28)}", "--jobs", "1"]
    out, means = folder / "out", save(folder / "arcface.pt", Means())
    faces = describe(onnx(folder), side=16, crop="face", measures=["similarity"])
    with blocks_as_features():
        assert run.main([*call, "--out", str(out)]) == 0
        before, plain = times(out), load_results(report_of(out) / "results.json")
        suite = folder / "dummies.yaml"
        named = {**yaml.safe_load(suite.read_text()), "networks": [str(faces)]}
        digest = hashlib.sha256(means.read_bytes()).hexdigest()
        claims = [
            {"id": name, "suite": "dummies", "words": "It is so.", "place": "Sec. 4", "parts": [part]}
            for name, part in CLAIMS.items()
        ]
        (folder / "ours.yaml").write_text(yaml.safe_dump({"title": "Claims", "source": "A paper", "claims": claims}))
        columns = [f"fd_{digest[:8]}", "psnr_true"]
        suite.write_text(yaml.safe_dump({**named, "columns": columns, "claims": str(folder / "ours.yaml")}))
        call += ["--network", str(means)]
        assert run.main([*call, "--out", str(out)]) == 0
    hashes = {"means": digest, "faces": hashlib.sha256(faces.read_bytes()).hexdigest()}
    return House(call, out, hashes, before, plain)
