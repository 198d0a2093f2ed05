"""Faults planted in methods, edits, metrics and the store: which level of the gate sees each, against stored results.

Each is planted by a patch, so nothing of the code, its keys or its versions tells of it. Clean changes must pass.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.core.artifacts import Store
from benchmark.core.source_code import project_digest
from benchmark.gate import gate as gate_module
from benchmark.gate.comparison import Rule, compare_probe, compare_runs
from benchmark.gate.gate import LOSSES, run_options, score_tolerance, weights_of
from benchmark.gate.kernels import OTHERS
from benchmark.gate.plans import Suite
from benchmark.gate.reference import Probe, Reference, SeedRun, load_reference
from benchmark.gate.verdicts import overall
from benchmark.metrics.frechet import FID, FID_CROPPED
from benchmark.metrics.psnr import PSNR_REF, PSNR_SRC, PSNR_TRUE
from benchmark.training.registry import find_method

ROOT = Path(__file__).parents[2]
STORED = ROOT / "results" / "reference" / "smoke.json"


@pytest.fixture(scope="module")
def reference() -> Reference:
    return load_reference(STORED)


# ------------------------------------------------------------------------------------------------ by statistics alone
def test_each_stored_seed_left_out_passes(reference: Reference) -> None:
    for seed, run in reference.runs.items():
        others = {other: each for other, each in reference.runs.items() if other != seed}
        checks, compared = compare_runs(
            dataclasses.replace(reference, runs=others), {seed: run}, reference.metrics, Rule()
        )
        off = [check for check in checks if check.verdict not in ("pass", "improved")]
        assert not off, f"seed {seed}: {off[:3]}"
        assert compared > 40


def test_two_hundred_simulated_runs_alarm_as_rarely_as_stated(reference: Reference) -> None:
    """Numbers drawn as the stored seeds are spread, both the stored ones and the new one."""
    random = np.random.default_rng(0)
    first = next(iter(reference.runs.values()))
    spreads = {
        (row, key): (float(np.mean(values)), float(np.std(values, ddof=1)))
        for row in first.rows
        for key in reference.metrics
        if len(values := reference.values(row, key)) > 1
    }

    def draw(seed: int) -> SeedRun:
        rows: dict[str, dict[str, float | None]] = {row: {} for row in first.rows}
        for (row, key), (mean, spread) in spreads.items():
            rows[row][key] = float(random.normal(mean, max(spread, 1e-6)))
        judges = {subset: float(random.normal(value, 3)) for subset, value in first.judges.items()}
        return dataclasses.replace(first, judge_seed=seed, rows=rows, judges=judges)

    verdicts = []
    for _ in range(200):
        stored = dataclasses.replace(reference, runs={seed: draw(seed) for seed in reference.runs})
        checks, _ = compare_runs(stored, {99: draw(99)}, reference.metrics, Rule())
        verdicts.append(overall([check.verdict for check in checks]))
    assert verdicts.count("regressed") < 7  # 1 % is stated
    assert verdicts.count("inconclusive") < 19  # 5 %


# ------------------------------------------------------------------------------------------------ the probes
def level_that_sees(reference: Reference, folder: Path, methods: Sequence[str]) -> str:
    """The first level of probes that finds a regression in the rows of some methods; "" for none."""
    options = dataclasses.replace(run_options(reference, folder, "1", True), methods=list(methods))
    suite = Suite(options, reference.machine.threads)
    rows = {row.id for row in suite.request.suite.rows}
    losses = suite.losses()
    checks = compare_probe("losses", part(reference.losses, set(losses)), losses, suite.training_versions(), LOSSES)
    assert len(checks) > 5
    if overall([check.verdict for check in checks]) != "pass":
        return "losses"
    weights = {row: path for row, path in weights_of(reference, STORED).items() if row in rows}
    scores = suite.scores(weights)
    checks = compare_probe(
        "scores", part(reference.scores, rows), scores, suite.row_versions(), score_tolerance(reference)
    )
    assert len(checks) > 5
    return "" if overall([check.verdict for check in checks]) == "pass" else "scores"


def part(probe: Probe, subjects: set[str]) -> Probe:
    return dataclasses.replace(probe, values={name: probe.values[name] for name in probe.values if name in subjects})


Plant = Callable[[pytest.MonkeyPatch], None]


def sign_of_a_loss(patch: pytest.MonkeyPatch) -> None:
    kind = find_method("stargan")
    step = kind.training_step

    def wrong(self: Any, faces: Any, update: Any, progress: Any) -> Any:
        return step(self, faces, lambda name, loss: update(name, -loss if name == "generator" else loss), progress)

    patch.setattr(kind, "training_step", wrong)


def setting(method: str, name: str, factor: float) -> Plant:
    """Another value of a setting, under the same keys."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        kind = find_method(method)
        made = kind.__init__

        def wrong(self: Any, settings: Any, shape: Any) -> None:
            made(self, dataclasses.replace(settings, **{name: factor * getattr(settings, name)}), shape)

        patch.setattr(kind, "__init__", wrong)

    return plant


def average_that_follows_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(find_method("hisd"), "average_decay", property(lambda _: 0.5))


def style_of_another_face(patch: pytest.MonkeyPatch) -> None:
    kind = find_method("mtss")
    edit = kind.edit

    def wrong(self: Any, sources: Any, target: Any) -> Any:
        references = None if target.references is None else target.references.roll(1, 0)
        return edit(self, sources, dataclasses.replace(target, references=references))

    patch.setattr(kind, "edit", wrong)


def latent_of_another_seed(patch: pytest.MonkeyPatch) -> None:
    kind = find_method("hisd")
    edit = kind.edit

    def wrong(self: Any, sources: Any, target: Any) -> Any:
        return edit(self, sources, dataclasses.replace(target, seeds=[seed + 1 for seed in target.seeds]))

    patch.setattr(kind, "edit", wrong)


def adain_without_its_scale(patch: pytest.MonkeyPatch) -> None:
    from baselines.hisd import blocks

    norm = blocks.activated_norm
    patch.setattr(
        blocks, "activated_norm", lambda x, weight, bias, slope: norm(x, torch.ones_like(weight), bias, slope)
    )


def crop_off_by_one(patch: pytest.MonkeyPatch) -> None:
    from benchmark.stages import features

    box = features.tight_box
    patch.setattr(features, "tight_box", lambda landmarks, size: box(landmarks, size) + 1)


def colours_swapped_in_edits(patch: pytest.MonkeyPatch) -> None:
    from benchmark.stages import synthesize

    pictures = synthesize.to_pictures
    patch.setattr(synthesize, "to_pictures", lambda images: pictures(images)[..., ::-1].copy())


def colours_swapped_in_training(patch: pytest.MonkeyPatch) -> None:
    from benchmark.training.sampling import TrainingSet

    take = TrainingSet.take
    patch.setattr(TrainingSet, "take", lambda self, indices: take(self, indices).flip(-1))


def biased_covariance(patch: pytest.MonkeyPatch) -> None:
    for metric in (FID, FID_CROPPED):
        distance = metric.distance

        def wrong(a: np.ndarray, b: np.ndarray, distance: Any = distance) -> float:
            """Deviations shrunk so that N in place of N - 1 divides them."""
            shrunk = [each.mean(0) + (each - each.mean(0)) * np.sqrt(1 - 1 / len(each)) for each in (a, b)]
            return float(distance(*shrunk))

        patch.setitem(metric.__dict__, "distance", wrong)


def data_range_of_one(patch: pytest.MonkeyPatch) -> None:
    for metric in (PSNR_REF, PSNR_SRC, PSNR_TRUE):
        compare = metric.compare
        patch.setitem(metric.__dict__, "compare", lambda a, b, compare=compare: compare(a, b) - 20 * np.log10(255))


def judge_shown_the_source(patch: pytest.MonkeyPatch) -> None:
    from benchmark.stages import score

    patch.setattr(
        score, "as_learned", lambda _judge, _prepare, _images, faces, rows, _context: (np.array(faces.images[rows]), 0)
    )


def stale_cache(patch: pytest.MonkeyPatch) -> None:
    """A store that answers for the edits of one guide with those of the other, which lie there already."""
    find = Store.find

    def wrong(self: Store, recipe: Any) -> Any:
        if recipe.kind == "synth":
            for entry in sorted((self.root / "synth").glob("*/manifest.json")):
                from benchmark.core.artifacts import Artifact, Manifest

                return Artifact(entry.parent, Manifest.read(entry))
        return find(self, recipe)

    patch.setattr(Store, "find", wrong)


FAULTS: dict[str, tuple[Plant, tuple[str, ...], str]] = {
    "sign of a loss": (sign_of_a_loss, ("stargan",), "losses"),
    "weight of a loss halved": (setting("hisd", "style_weight", 0.5), ("hisd",), "losses"),
    "weight of a penalty halved": (setting("ganimation", "penalty_weight", 0.5), ("ganimation",), "losses"),
    "learning rate doubled": (setting("mtss", "learning_rate", 2.0), ("mtss",), "losses"),
    "average that follows at once": (average_that_follows_at_once, ("hisd",), "losses"),
    "colours swapped in training": (colours_swapped_in_training, ("stargan",), "losses"),
    "AdaIN without its scale": (adain_without_its_scale, ("hisd",), "losses"),
    "style of another face": (style_of_another_face, ("mtss",), "scores"),
    "latent of another seed": (latent_of_another_seed, ("hisd",), "scores"),
    "crop off by one": (crop_off_by_one, ("stargan",), "scores"),
    "colours swapped in edits": (colours_swapped_in_edits, ("stargan",), "scores"),
    "biased covariance": (biased_covariance, ("stargan",), "scores"),
    "PSNR with data_range 1": (data_range_of_one, ("stargan",), "scores"),
    "judge shown the source": (judge_shown_the_source, ("stargan",), "scores"),
    "stale cache": (stale_cache, ("hisd",), "scores"),
}
"""What is planted, the methods whose rows are looked at, and the level that is to see it."""


@pytest.mark.gate
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_seen(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    plant, methods, expected = FAULTS[name]
    plant(monkeypatch)
    level = level_that_sees(reference, tmp_path, methods)
    print(f"{name}: seen by {level or 'nothing'}")
    assert level == expected


# ------------------------------------------------------------------------------------------------ clean changes
@pytest.mark.gate
@pytest.mark.parametrize("methods", [("stargan", "ganimation"), ("efgan",), ("hisd",), ("mtss",)])
def test_nothing_is_seen_where_nothing_changed(reference: Reference, tmp_path: Path, methods: Sequence[str]) -> None:
    assert level_that_sees(reference, tmp_path, methods) == ""


@pytest.mark.gate
@pytest.mark.parametrize("kernels", OTHERS, ids=[kernels.name for kernels in OTHERS])
def test_other_kernels_pass_the_probes(tmp_path: Path, kernels: Any) -> None:
    """As another processor has them; the whole gate, until the suite would be run."""
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.gate.test_planted_faults import STORED, level_that_sees\n"
        "from benchmark.gate.reference import load_reference\n"
        "seen = level_that_sees(load_reference(STORED), Path(sys.argv[1]), ['stargan', 'hisd'])\n"
        "sys.exit(f'seen by {seen}' if seen else 0)\n"
    )
    environment = {**os.environ, **kernels.variables, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_comments_and_docstrings_are_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("benchmark/metrics", "baselines/layers"):
        shutil.copytree(ROOT / package, tmp_path / package)
    monkeypatch.setattr("benchmark.core.source_code.HARNESS_FOLDER", tmp_path / "benchmark")
    before = project_digest()
    path = tmp_path / "benchmark/metrics/psnr.py"
    text = path.read_text()
    path.write_text("# A comment.\n" + text.replace('"""', '"""Other words. ', 1).replace("\n\n\n", "\n\n\n\n"))
    assert project_digest() == before
    path.write_text(text.replace("PEAK = 255.0", "PEAK = 1.0"))
    assert project_digest() != before


def test_the_gate_never_takes_the_work_of_other_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folders = {gate_module.work_folder(tmp_path, code) for code in ("a", "b")}
    assert len(folders) == 2
    monkeypatch.setattr(gate_module, "software", lambda: {"torch": "another"})
    assert gate_module.work_folder(tmp_path, "a") not in folders
