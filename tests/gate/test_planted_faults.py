"""Faults planted in methods, edits, metrics and the store: which probe of the gate sees each.

Each is planted by a patch, so nothing of the code, its keys or its versions tells of it. What is compared with is made
by the same code, unharmed: weights of two iterations, their scores, and the first losses. Clean changes must pass.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from benchmark.config.profiles import PROFILES
from benchmark.core.artifacts import Artifact, Manifest, Store
from benchmark.core.source_code import project_digest
from benchmark.gate import gate as gate_module
from benchmark.gate.comparison import Tolerance, compare_probe, spread_of
from benchmark.gate.gate import COLOURS, FEATURES_RELATIVE, FLIPS, LOSSES, SCORES_RELATIVE
from benchmark.gate.kernels import OTHERS, probe_elsewhere
from benchmark.gate.plans import Suite, make_all, trainings
from benchmark.gate.reference import EDITS, FEATURES, PHOTOGRAPHS, Probe
from benchmark.gate.verdicts import overall
from benchmark.metrics.frechet import FID, FID_CROPPED
from benchmark.metrics.psnr import PSNR_REF, PSNR_SRC, PSNR_TRUE
from benchmark.pipeline.request import RunOptions
from benchmark.training.registry import find_method
from tests.block_features import Blocks, blocks_as_features

ROOT = Path(__file__).parents[2]
SCORES = {
    "": Tolerance(SCORES_RELATIVE), EDITS: Tolerance(0.0, COLOURS), PHOTOGRAPHS: Tolerance(0.0, COLOURS),
    FEATURES: Tolerance(FEATURES_RELATIVE),
    "ca": Tolerance(SCORES_RELATIVE, FLIPS * 100 / 160)
}  # fmt: skip


@dataclass(frozen=True)
class Unharmed:
    """What the code gives as it is: both probes of the rows of some methods, and the weights behind the scores."""

    losses: Probe
    scores: Probe
    weights: dict[str, Path]


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Profile smoke with trainings of two iterations."""
    content = yaml.safe_load((PROFILES / "smoke.yaml").read_text(encoding="utf-8"))
    path = tmp_path_factory.mktemp("profile") / "smoke.yaml"
    path.write_text(yaml.safe_dump({**content, "iterations": {"default": 2}}), encoding="utf-8")
    return path


@pytest.fixture(scope="module", autouse=True)
def quick_features() -> Iterator[None]:
    """Features are means of pixels, and nobody's identity is read: both networks take most of the time."""
    with blocks_as_features(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.stages.reader.find_identity_weights", lambda: None)
        yield


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory: pytest.TempPathFactory, profile: Path) -> Callable[[tuple[str, ...]], Unharmed]:
    made: dict[tuple[str, ...], Unharmed] = {}

    def make(methods: tuple[str, ...]) -> Unharmed:
        if methods not in made:
            folder = tmp_path_factory.mktemp("unharmed")
            suite = suite_of(profile, folder, methods)
            make_all("trainings", trainings(suite.plan(0, 0)), suite.context, 1)
            weights = {row: folder / name for row, name in suite.pack(0, 0, folder).items()}
            losses, scores = suite.losses(), suite.scores(weights)
            made[methods] = Unharmed(
                Probe([], losses, spread_of(losses, []), suite.training_versions()),
                Probe([], scores, spread_of(scores, []), suite.row_versions()),
                weights,
            )
        return made[methods]

    return make


def suite_of(profile: Path, folder: Path, methods: Sequence[str]) -> Suite:
    return Suite(
        RunOptions("smoke", str(profile), methods=list(methods), out=folder, retrain=True, jobs="1", quiet=True)
    )


def probe_that_sees(base: Unharmed, profile: Path, folder: Path, methods: Sequence[str]) -> str:
    """The first probe that finds a regression; "" for none."""
    suite = suite_of(profile, folder, methods)
    for level, probe, tolerance in (("losses", base.losses, LOSSES), ("scores", base.scores, SCORES)):
        now = suite.losses() if level == "losses" else suite.scores(base.weights)
        checks = compare_probe(level, probe, now, probe.versions, tolerance)  # type: ignore[arg-type]
        assert len(checks) > 5
        if overall([check.verdict for check in checks]) != "pass":
            return level
    return ""


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


def photographs_framed_off(patch: pytest.MonkeyPatch) -> None:
    from benchmark.data import framing

    square = framing.square_for

    def wrong(landmarks: np.ndarray, wanted: Any) -> Any:
        found = square(landmarks, wanted)
        return dataclasses.replace(found, left=found.left + 2)

    patch.setattr(framing, "square_for", wrong)


def stale_cache(patch: pytest.MonkeyPatch) -> None:
    """A store that answers for the edits of one guide with those of the other, which lie there already."""
    find = Store.find

    def wrong(self: Store, recipe: Any) -> Any:
        if recipe.kind == "synth":
            for entry in sorted((self.root / "synth").glob("*/manifest.json")):
                return Artifact(entry.parent, Manifest.read(entry))
        return find(self, recipe)

    patch.setattr(Store, "find", wrong)


def every_step_twice(patch: pytest.MonkeyPatch) -> None:
    kind = find_method("stargan")
    step = kind.training_step

    def wrong(self: Any, faces: Any, update: Any, progress: Any) -> Any:
        step(self, faces, update, progress)
        return step(self, faces, update, progress)

    patch.setattr(kind, "training_step", wrong)


def gradients_not_clipped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("torch.nn.utils.clip_grad_norm_", lambda parameters, norm, **_: torch.zeros(()))


def gradients_added_up(patch: pytest.MonkeyPatch) -> None:
    for optimizer in (torch.optim.Adam, torch.optim.AdamW):
        patch.setattr(optimizer, "zero_grad", lambda self, set_to_none=True: None)


def average_decay_off_by_ten(patch: pytest.MonkeyPatch) -> None:
    kind = find_method("hisd")
    decay = kind.average_decay
    patch.setattr(kind, "average_decay", property(lambda self: 1 - 10 * (1 - decay.fget(self))))


def schedule_that_never_falls(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(find_method("stargan"), "learning_rate_factor", lambda *_: 1.0)


def no_picture_mirrored(patch: pytest.MonkeyPatch) -> None:
    kind = find_method("stargan")
    augmentation = dataclasses.replace(kind.augmentation, flip=False)
    patch.setattr(kind, "augmentation", augmentation)


def raw_weights_in_place_of_averages(patch: pytest.MonkeyPatch) -> None:
    from benchmark.stages import checkpoints

    load = checkpoints.load_for_editing
    patch.setattr(
        checkpoints, "load_for_editing", lambda method, path, absent=(), merged=False: load(method, path, absent, True)
    )


def expressions_permuted(patch: pytest.MonkeyPatch) -> None:
    from benchmark.metrics import ca

    order = [*ca.EXPRESSIONS[1:], ca.EXPRESSIONS[0]]
    patch.setattr(ca, "EXPRESSIONS", tuple(order))


def features_centred_over_the_wrong_axis(patch: pytest.MonkeyPatch) -> None:
    for metric in (FID, FID_CROPPED):

        def wrong(a: np.ndarray, b: np.ndarray, distance: Any = metric.distance) -> float:
            return float(distance(*(each - each.mean(1, keepdims=True) for each in (a, b))))

        patch.setitem(metric.__dict__, "distance", wrong)


def photographs_resized_with_another_filter(patch: pytest.MonkeyPatch) -> None:
    resize = Image.Image.resize

    def wrong(self: Any, size: Any, resample: Any = None, **options: Any) -> Any:
        other = Image.Resampling.BICUBIC if resample == Image.Resampling.BILINEAR else resample
        return resize(self, size, other, **options)

    patch.setattr(Image.Image, "resize", wrong)


def labels_of_the_judge_out_of_order(patch: pytest.MonkeyPatch) -> None:
    from benchmark.stages import judge

    train = judge.train_judge
    patch.setattr(
        judge, "train_judge", lambda images, labels, *others: train(images, np.roll(labels, 1), *others)
    )  # fmt: skip


def penalty_at_real_pictures(patch: pytest.MonkeyPatch) -> None:
    from baselines import stargan

    losses = stargan.discriminator_losses
    patch.setattr(stargan, "discriminator_losses", lambda *given: losses(*given[:-1], torch.ones_like(given[-1])))


def gradient_stops_short_of_the_mapper(patch: pytest.MonkeyPatch) -> None:
    """The values of all losses are the same."""
    from baselines.hisd import method

    losses = method.generator_losses

    def wrong(discriminator: Any, edits: Any, *others: Any) -> Any:
        style = torch.nn.functional.l1_loss(edits.recovered_style, edits.target_style.detach())
        return dataclasses.replace(losses(discriminator, edits, *others), style=style)

    patch.setattr(method, "generator_losses", wrong)


def cascade_of_stages_that_are_no_copies(patch: pytest.MonkeyPatch) -> None:
    from baselines.efgan.networks import Cascade

    patch.setattr(Cascade, "spread", lambda _: None)


def rate_of_the_judge_never_falls(patch: pytest.MonkeyPatch) -> None:
    for module in ("training.supervised", "training.judge", "training.reader", "gate.first_steps"):
        patch.setattr(f"benchmark.{module}.one_cycle", lambda progress, warm_up: min(1.0, progress / warm_up))


def references_of_the_own_face(patch: pytest.MonkeyPatch) -> None:
    from benchmark.data.edit_lists import EditList

    def wrong(table: Any, candidates: np.ndarray, identity: str, seed: int, target: str) -> int:
        own = candidates[(table["identity"].iloc[candidates] == identity).to_numpy()]
        return int(own[np.random.default_rng(seed).integers(len(own))])

    patch.setattr(EditList, "_reference", staticmethod(wrong))


def density_of_three_neighbours(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("benchmark.metrics.density.NEIGHBOURS", 3)


def coverage_of_the_edits(patch: pytest.MonkeyPatch) -> None:
    from benchmark.metrics import density

    def wrong(edits: np.ndarray, real: np.ndarray) -> float:
        return float(density._inside(edits, real)[0].any(axis=0).mean())

    patch.setitem(density.COVERAGE.__dict__, "distance", wrong)


def psnr_capped_at_50(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("benchmark.metrics.psnr.CAP_DB", 50.0)


def pictures_shifted_before_the_extractor(patch: pytest.MonkeyPatch) -> None:
    """Both sides of a Fréchet distance are shifted alike."""
    features = Blocks.features
    patch.setattr(Blocks, "features", lambda self, images, progress: features(self, images, progress) + 0.5)


def metric_without_a_number(patch: pytest.MonkeyPatch) -> None:
    from benchmark.metrics.gain import GAIN

    patch.setitem(GAIN.__dict__, "measure", lambda edits: np.full(len(edits.table), np.nan))


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
    "photographs framed off": (photographs_framed_off, ("stargan",), "scores"),
    "stale cache": (stale_cache, ("hisd",), "scores"),
    # Kinds that the gate was not built around.
    "every step taken twice": (every_step_twice, ("stargan",), "losses"),
    "gradients not clipped": (gradients_not_clipped, ("hisd",), "losses"),
    "gradients added up": (gradients_added_up, ("stargan",), "losses"),
    "average's decay off by ten": (average_decay_off_by_ten, ("hisd",), "losses"),
    "Adam's second decay": (setting("hisd", "beta2", 0.99), ("hisd",), "losses"),
    "schedule that never falls": (schedule_that_never_falls, ("stargan",), "losses"),
    "no picture mirrored": (no_picture_mirrored, ("stargan",), "losses"),
    "labels of the judge out of order": (labels_of_the_judge_out_of_order, ("stargan",), "losses"),
    "raw weights in place of averages": (raw_weights_in_place_of_averages, ("hisd",), "scores"),
    "expressions permuted in CA": (expressions_permuted, ("stargan",), "scores"),
    "features centred over the wrong axis": (features_centred_over_the_wrong_axis, ("stargan",), "scores"),
    "photographs resized with another filter": (photographs_resized_with_another_filter, ("stargan",), "scores"),
    # What only a part of a network, a later iteration, or a picture as good as a real one shows.
    "penalty at real pictures": (penalty_at_real_pictures, ("stargan",), "losses"),
    "gradient that stops short of the mapper": (gradient_stops_short_of_the_mapper, ("hisd",), "losses"),
    "cascade of stages that are no copies": (cascade_of_stages_that_are_no_copies, ("efgan",), "losses"),
    "rate of the judge that never falls": (rate_of_the_judge_never_falls, ("stargan",), "losses"),
    "references of the own face": (references_of_the_own_face, ("hisd",), "scores"),
    "density of three neighbours": (density_of_three_neighbours, ("stargan",), "scores"),
    "coverage of the edits": (coverage_of_the_edits, ("stargan",), "scores"),
    "PSNR capped at 50 dB": (psnr_capped_at_50, ("stargan",), "scores"),
    "pictures shifted before the extractor": (pictures_shifted_before_the_extractor, ("stargan",), "scores"),
    "metric without a number": (metric_without_a_number, ("stargan",), "scores"),
}
"""What is planted, the methods whose rows are looked at, and the level that is to see it."""


@pytest.mark.gate
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_seen(
    unharmed: Callable[..., Unharmed], profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    plant, methods, expected = FAULTS[name]
    base = unharmed(methods)
    plant(monkeypatch)
    seen = probe_that_sees(base, profile, tmp_path, methods)
    print(f"{name}: seen by {seen or 'nothing'}")
    assert seen == expected


# ------------------------------------------------------------------------------------------------ clean changes
@pytest.mark.gate
@pytest.mark.parametrize("methods", sorted({methods for _, methods, _ in FAULTS.values()}))
def test_nothing_is_seen_where_nothing_changed(
    unharmed: Callable[..., Unharmed], profile: Path, tmp_path: Path, methods: tuple[str, ...]
) -> None:
    assert probe_that_sees(unharmed(methods), profile, tmp_path, methods) == ""


@pytest.mark.gate
@pytest.mark.parametrize("kernels", OTHERS, ids=[kernels.name for kernels in OTHERS])
def test_other_kernels_pass(unharmed: Callable[..., Unharmed], profile: Path, tmp_path: Path, kernels: Any) -> None:
    """The first losses as another processor has them, without any spread that was measured."""
    methods = ("stargan", "hisd")
    base = unharmed(methods)
    options = RunOptions("smoke", str(profile), methods=list(methods), out=tmp_path, retrain=True, quiet=True)
    (probed,) = probe_elsewhere(options, {}, [kernels])
    checks = compare_probe("losses", base.losses, probed.losses, base.losses.versions, LOSSES)
    assert overall([check.verdict for check in checks]) == "pass", [c for c in checks if c.verdict != "pass"]


def test_comments_and_docstrings_are_no_change(copied_code: Path) -> None:
    before = project_digest()
    path = copied_code / "benchmark/metrics/psnr.py"
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
