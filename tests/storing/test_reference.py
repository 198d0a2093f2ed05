"""Stored results: what is finished is stored, found by its key on any machine, whole, and edits as it was measured."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from benchmark import reference, run, synthesize
from benchmark.config.loading import REFERENCE
from benchmark.config.reference import load_index, stored_weights
from benchmark.core.artifacts import MANIFEST, Damaged, Manifest, Recipe, Store
from benchmark.core.errors import UserError
from benchmark.core.hashes import sha256_of
from benchmark.interface import Shape
from benchmark.pipeline.request import RunOptions
from benchmark.report.results import load_results
from benchmark.stages.checkpoints import load_checkpoint
from benchmark.stages.stored import for_editing, rounded
from benchmark.storing import collect
from benchmark.training.checkpoint import load_tensors
from tests.dummy import Dummy, DummySettings
from tests.one_thread import one_thread  # noqa: F401 (fixture)

METHOD = "tests.dummy:Dummy"
ROWS = ("d-t", "d-r")


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory, make_faces: Callable[..., Path]) -> list[str]:
    """A suite of two rows that share a training, and a profile whose weights are stored."""
    folder = tmp_path_factory.mktemp("config")
    rows = [
        {"id": f"d-{guide.lower()}", "label": f"Dummy ({guide})", "method": METHOD, "guide": guide, "data": "F"}
        for guide in "TR"
    ]
    profile = {
        "title": "tiny", "notice": "Seconds only.", "size": 32, "width": 1.0, "features": "efficientnet-lite0",
        "judge_epochs": 1, "checkpoint_every": 2, "log_every": 1, "iterations": {"default": 3},
        "targets_per_source": 1, "allow_small": True, "stored_weights": "float16",
    }  # fmt: skip
    (folder / "dummies.yaml").write_text(yaml.safe_dump({"title": "Dummies", "rows": rows}))
    (folder / "tiny.yaml").write_text(yaml.safe_dump(profile))
    faces = make_faces(identities=5)
    return [
        "--suite", str(folder / "dummies.yaml"), "--profile", str(folder / "tiny.yaml"), "--data", f"rendered:{faces}",
        "--threads", "1", "--jobs", "1", "--quiet",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, arguments: list[str]) -> Path:
    """A store with two seeds."""
    out = tmp_path_factory.mktemp("runs")
    nothing = str(tmp_path_factory.mktemp("nothing"))
    assert run.main([*arguments, "--out", str(out), "--reference", nothing, "--seeds", "0,1"]) == 0
    return out


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, arguments: list[str], runs: Path) -> Path:
    """What of it is stored, three seeds wanted."""
    to = tmp_path_factory.mktemp("stored") / "reference"
    assert reference.main([*arguments, "--from", str(runs), "--to", str(to), "--seeds", "0,1,2"]) == 0
    return to


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, stored: Path) -> Path:
    """The same, as a machine with another processor would have written it."""
    copy = tmp_path_factory.mktemp("elsewhere") / "reference"
    shutil.copytree(stored, copy)
    for path in copy.glob(f"*/*/{MANIFEST}"):
        manifest = Manifest.read(path)
        path.write_text(dataclasses.replace(manifest, made={**manifest.made, "processor": "another"}).dump())
    return copy


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, arguments: list[str], elsewhere: Path, runs: Path) -> Path:
    """A store that has no training but the stored ones, where nothing can be trained; the judge is taken over."""
    out = tmp_path_factory.mktemp("fresh")
    for kind in ("faces", "judge", "features"):
        shutil.copytree(runs / kind, out / kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.stages.train.Train.run", None)
        assert run.main([*arguments, "--out", str(out), "--reference", str(elsewhere), "--seeds", "0,1"]) == 0
    return out


def results_of(out: Path) -> str:
    (path,) = out.glob("reports/*/results.json")
    return path.read_text()


def test_what_is_finished_is_stored_and_the_rest_is_named(stored: Path) -> None:
    suite = load_index(stored).suites["dummies"]
    assert suite.missing == {"d-t": (2,), "d-r": (2,)}
    for row in ROWS:
        seeds = suite.rows[row].seeds
        assert [bool(seeds[seed].weights) for seed in (0, 1)] == [True, False]
        for folder in (seeds[0].record, seeds[0].weights, seeds[0].scores, seeds[1].record, seeds[1].scores):
            Manifest.read(stored / folder / MANIFEST)
    assert suite.rows["d-t"].seeds[0].record == suite.rows["d-r"].seeds[0].record
    assert not (stored / ".locks").exists()


def test_the_stored_report_is_that_of_the_run(stored: Path, runs: Path) -> None:
    folder = stored / "reports" / "dummies"
    assert (folder / "results.json").read_text() == results_of(runs)
    files = {name: file.sha256 for name, file in Manifest.read(folder / MANIFEST).files.items()}
    assert files == {path.name: sha256_of(path) for path in folder.iterdir() if path.name != MANIFEST}
    assert "losses.png" not in files
    page = (folder / "report.md").read_text()
    assert set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", page)) <= files.keys()
    assert "Loss curves of every training: see [report.html](report.html)." in page


def test_weights_are_the_averages_rounded(stored: Path, runs: Path) -> None:
    trained, _ = load_tensors(next(runs.glob("train/*seed-0*/weights.safetensors")))
    weights = stored_weights("d-t", stored)
    kept, _ = load_tensors(weights / "weights.safetensors")
    assert kept.keys() == {"model.colours.weight", "model.mix.weight", "model.mix.bias"}
    assert torch.equal(kept["model.mix.weight"], trained["average.mix.weight"].half())
    assert torch.equal(kept["model.colours.weight"], trained["model.colours.weight"].half())
    method = load_checkpoint(weights, "cpu")
    assert method.mix.weight.dtype == torch.float32
    assert torch.equal(method.mix.weight, trained["average.mix.weight"].half().float())


def test_networks_for_training_alone_are_left_out() -> None:
    method = Dummy(DummySettings(), Shape(32))
    tensors = {f"model.{name}": value for name, value in method.state_dict().items()}
    tensors |= {f"average.mix.{name}": value + 1 for name, value in method.mix.state_dict().items()}
    kept = for_editing(tensors, {"colours"})
    assert kept.keys() == {"model.mix.weight", "model.mix.bias"}
    assert torch.equal(kept["model.mix.bias"], tensors["average.mix.bias"])


def test_rounding_leaves_whole_numbers_alone() -> None:
    tensors = rounded({"a": torch.tensor([1 / 3]), "n": torch.tensor([70000])}, torch.float16)
    assert tensors["a"].dtype == torch.float16
    assert tensors["n"].dtype == torch.int64


def test_another_machine_finds_the_trainings_and_measures_the_same(fresh: Path, runs: Path) -> None:
    results = load_results(next(fresh.glob("reports/*/results.json")))
    assert results.reference is not None
    assert dataclasses.replace(results, reference=None).dump() == results_of(runs)
    assert not (fresh / "train").exists()
    assert len(list(fresh.glob("weights/*"))) == 1  # seed 1 has scores alone
    manifest = Manifest.read(next(fresh.glob("record/*seed-0*")) / MANIFEST)
    assert manifest.made["processor"] == "another"


def test_the_weights_give_the_edits_that_were_measured(fresh: Path, runs: Path) -> None:
    for path in fresh.glob("synth/*/edited.npy"):
        assert np.array_equal(np.load(path), np.load(runs / path.relative_to(fresh)))


def test_the_plan_says_what_is_stored(
    arguments: list[str], elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = [*arguments, "--out", str(tmp_path), "--reference", str(elsewhere), "--dry-run"]
    assert run.main(call) == 0
    lines = capsys.readouterr().out
    assert "not needed" in next(line for line in lines.splitlines() if "│ train" in line)
    assert "stored" in next(line for line in lines.splitlines() if "│ weights" in line)
    assert run.main([*call, "--retrain"]) == 0
    lines = capsys.readouterr().out
    assert "to do" in next(line for line in lines.splitlines() if "│ train" in line)
    assert "stored" not in lines


def test_damaged_weights_are_an_error_that_says_what_to_do(
    arguments: list[str], stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "reference"
    shutil.copytree(stored, copy)
    path = stored_weights("d-t", copy) / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert run.main([*arguments, "--out", str(tmp_path / "out"), "--reference", str(copy)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "weights.safetensors is not what its manifest says" in line
    assert "--retrain" in line
    assert not list((tmp_path / "out").glob("weights/*"))


def test_stored_again_damage_is_mended_and_seeds_of_others_are_kept(
    arguments: list[str], fresh: Path, stored: Path, elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "reference"
    shutil.copytree(elsewhere, copy)
    (stored_weights("d-t", copy) / "weights.safetensors").write_bytes(b"")
    stale = copy / "scores" / "score-of-old-0123456789ab"
    shutil.copytree(next(copy.glob("scores/*")), stale)
    call = [*arguments, "--from", str(fresh), "--to", str(copy), "--seeds", "0", "--json"]
    assert reference.main(call) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["removed"] == ["scores/score-of-old-0123456789ab"]
    assert not stale.exists()
    index = load_index(copy)
    assert set(index.suites["dummies"].rows["d-r"].seeds) == {0, 1}
    assert load_tensors(stored_weights("d-t", copy) / "weights.safetensors")
    assert (copy / "reports" / "dummies" / "results.json").read_text() == (
        stored / "reports" / "dummies" / "results.json"
    ).read_text()


def test_what_somebody_removed_is_made_again_or_named(
    arguments: list[str], runs: Path, stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report is finished, so that a run would need neither."""
    out, to = tmp_path / "runs", tmp_path / "reference"
    shutil.copytree(runs, out)
    shutil.copytree(stored, to)
    folder = load_index(to).suites["dummies"].rows["d-t"].seeds[0].record
    call = [*arguments, "--from", str(out), "--to", str(to), "--seeds", "0"]
    for root in (out, to):
        shutil.rmtree(root / folder)
    assert reference.main(call) == 0
    assert (to / folder / "losses.parquet").read_bytes() == (stored / folder / "losses.parquet").read_bytes()

    scores = next(to.glob("scores/*")).relative_to(to)
    for root in (out, to):
        shutil.rmtree(root / scores)
    capsys.readouterr()
    assert reference.main(call) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{scores} is missing in {out} and in {to}" in line


def tiny_artifact(root: Path, text: str) -> tuple[Store, Recipe]:
    """A store with one artifact of two files."""
    store, recipe = Store(root), Recipe("weights", "weights d", {}, {}, 1, ("a.txt", "b.txt"))
    with store.making(recipe) as partial:
        for name in recipe.files:
            (partial / name).write_text(f"{name} {text}")
        store.finish(recipe, partial, list(recipe.files), {}, 0.0, {})
    return store, recipe


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of all files below a folder but locks, by path."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".locks" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def fail_at(name: str) -> Callable[..., None]:
    """`shutil.copyfile` on a disk that is full when it comes to a file of this name."""
    copyfile = shutil.copyfile

    def copy(source: Path, target: Path) -> None:
        if target.name == name:
            raise OSError(28, "No space left on device")
        copyfile(source, target)

    return copy


def test_a_stored_artifact_stays_whole_until_its_copy_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, recipe = tiny_artifact(tmp_path / "new", "new")
    to, _ = tiny_artifact(tmp_path / "to", "old")
    stage: Any = SimpleNamespace(recipe=recipe)
    old = contents(to.root)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", fail_at("b.txt"))
        with pytest.raises(UserError, match="No space left"):
            collect._copied(stage, store, to)
    assert contents(to.root) == old
    assert collect._copied(stage, store, to) == recipe.folder
    assert contents(to.root) == contents(store.root)


def test_a_copy_with_other_bytes_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, recipe = tiny_artifact(tmp_path / "new", "new")
    to, _ = tiny_artifact(tmp_path / "to", "old")
    stage: Any = SimpleNamespace(recipe=recipe)
    old = contents(to.root)
    monkeypatch.setattr(shutil, "copyfile", lambda _, target: target.write_text("else"))
    with pytest.raises(Damaged, match=r"a\.txt"):
        collect._copied(stage, store, to)
    assert contents(to.root) == old


def test_trainings_alone_are_stored_within_seconds(arguments: list[str], runs: Path, tmp_path: Path) -> None:
    out, to = tmp_path / "runs", tmp_path / "reference"
    for kind in ("train", "faces"):
        shutil.copytree(runs / kind, out / kind)
    call = [*arguments, "--from", str(out), "--to", str(to), "--seeds", "1", "--no-scores"]
    assert reference.main(call) == 0
    (seed,) = load_index(to).suites["dummies"].rows["d-t"].seeds.values()
    assert (seed.scores, bool(seed.record), bool(seed.weights)) == ("", True, True)
    assert not (out / "judge").exists()
    assert "Not measured yet" in (to / seed.weights / "README.md").read_text()


def test_of_some_rows_no_weights_are_stored(arguments: list[str], runs: Path, tmp_path: Path) -> None:
    call = [*arguments, "--from", str(runs), "--to", str(tmp_path), "--seeds", "0", "--without-weights", "d-t"]
    assert reference.main(call) == 0
    rows = load_index(tmp_path).suites["dummies"].rows
    assert not any(seed.weights for seed in rows["d-t"].seeds.values())
    assert all(seed.scores for seed in rows["d-t"].seeds.values())
    others = [row for name, row in rows.items() if name != "d-t" and row.seeds]
    assert others
    assert all(row.seeds[0].weights for row in others)


def test_the_leaderboard_has_every_stored_row(stored: Path) -> None:
    page = (stored / "leaderboard.html").read_text(encoding="utf-8")
    for row in load_results(stored / "reports" / "dummies" / "results.json").rows:
        assert f'<th scope="row">{row.label}<span' in page


def test_the_leaderboard_shows_the_edits_of_its_claims(tmp_path: Path) -> None:
    shutil.copy(REFERENCE / "index.json", tmp_path)
    for file in ("results.json", "claims.png"):
        (tmp_path / "reports/table1").mkdir(parents=True, exist_ok=True)
        shutil.copy(REFERENCE / "reports/table1" / file, tmp_path / "reports/table1")
    collect.write_leaderboard(tmp_path)
    assert "url(data:image/webp;base64," in (tmp_path / "leaderboard.html").read_text(encoding="utf-8")


def test_a_card_has_the_numbers_of_its_weights(stored: Path) -> None:
    card = (stored_weights("d-r", stored) / "README.md").read_text()
    results = load_results(stored / "reports" / "dummies" / "results.json")
    for row in results.rows:
        for metric in results.metrics:
            value = row.seeds[0].metrics[metric.key]
            assert value is not None
            assert f"{value:.{metric.decimals}f}" in card
    for word in ("## Licence", "## Not for", "## Training", "float16", "--checkpoint d-t"):
        assert word in card


def test_a_name_stands_for_stored_weights(
    stored: Path,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("benchmark.editing.editor.stored_weights", lambda name: stored_weights(name, stored))
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((32, 32, 3), 128, np.uint8)).save("a.png")
    call = ["--source", "a.png", "--target", "happy", "--out", "b.png", "--quiet", "--threads", "1"]
    assert synthesize.main([*call, "--checkpoint", "d-r"]) == 0
    assert (tmp_path / "b.png").is_file()
    assert synthesize.main([*call, "--checkpoint", "d-tt"]) == 2
    assert "did you mean 'd-t'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--profile", "quick"], "does not say in which precision"),
        (["--seeds", "7"], "no finished training"),
        (["--weights", "x"], "--weights: 'x' is no seed"),
        (["--without-weights", "d-x"], "no row of "),
        (["--from", "/dev/null"], "--from /dev/null is a device, not a folder"),
        (["--from", "nowhere"], "--from nowhere is missing"),
        (["--to", "/dev/null/x"], "--to /dev/null/x"),
    ],
)
def test_what_cannot_be_stored_is_reported(
    change: list[str],
    message: str,
    arguments: list[str],
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    call = [*arguments, "--from", str(runs), "--to", str(tmp_path / "to"), *change]
    assert reference.main(call) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "to").exists()


def test_pictures_that_may_not_be_passed_on_are_not_stored(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.data.rendered_set.Rendered.licensed", True)
    suite, profile, data = arguments[1], arguments[3], arguments[5]
    with pytest.raises(UserError, match="may not be passed on"):
        collect.store_suites(
            [suite], RunOptions(suite, profile, data, out=tmp_path, device="cpu"), tmp_path / "to", (0,)
        )


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory, arguments: list[str], stored: Path, fresh: Path) -> Path:
    """The report of another profile, beside the stored results; of the stored rows one is missing."""
    folder, out = tmp_path_factory.mktemp("short"), tmp_path_factory.mktemp("short-runs")
    profile = yaml.safe_load(Path(arguments[3]).read_text())
    del profile["stored_weights"]
    (folder / "short.yaml").write_text(yaml.safe_dump({**profile, "iterations": {"default": 2}}))
    partly = folder / "reference"
    shutil.copytree(stored, partly)
    path = partly / "reports" / "dummies" / "results.json"
    results = load_results(path)
    rows = tuple(dataclasses.replace(row, seeds={}) if row.id == "d-t" else row for row in results.rows)
    path.write_text(dataclasses.replace(results, rows=rows).dump())
    for kind in ("faces", "judge", "features"):
        shutil.copytree(fresh / kind, out / kind)
    call = [*arguments, "--out", str(out), "--reference", str(partly)]
    call[3] = str(folder / "short.yaml")
    assert run.main(call) == 0
    (report,) = out.glob("reports/*")
    return report


def test_a_run_prints_the_stored_results_beside_its_own(
    short: Path, stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, theirs = (
        load_results(short / "results.json"),
        load_results(stored / "reports" / "dummies" / "results.json"),
    )
    assert results.reference is not None
    assert set(results.reference.rows) == {"d-r"}
    row = next(row for row in theirs.rows if row.id == "d-r")
    for metric in theirs.metrics:
        number = results.reference.rows["d-r"].numbers[metric.key]
        assert number.mean == pytest.approx(row.mean(metric.key))
        assert number.interval == row.summary[metric.key].identities  # two seeds are too few
    table = (short / "table.md").read_text()
    head = next(line for line in table.splitlines() if line.startswith("| Model"))
    assert head.count("reference") == head.count("measured") > 0
    fid = row.summary["fid"]
    assert fid.identities is not None
    bounds = rf"\[{fid.identities[0]:.2f}, {fid.identities[1]:.2f}\]"
    assert f"{fid.mean:.2f} {bounds}" in next(line for line in table.splitlines() if line.startswith("| Dummy (R)"))
    assert "No reference result of this row is stored" in table
    assert "stored results of profile tiny: seeds 0 and 1" in table
    from benchmark.report.terminal import print_report

    print_report(short)
    assert "reference" in capsys.readouterr().out
    assert "FD[lite0]_reference" in (short / "table.csv").read_text()


def test_its_figures_show_the_stored_weights_edits_above_its_own(short: Path, fresh: Path) -> None:
    galleries = {path.name: path for path in short.parents[1].glob("synth/*gallery*")}
    (theirs,) = (path for name, path in galleries.items() if "imported" in name and "-r-" in name)
    stored = next(path for path in fresh.glob("synth/*gallery*-r-*"))
    assert np.array_equal(np.load(theirs / "edited.npy"), np.load(stored / "edited.npy"))
    plain = Image.open(next(fresh.glob("reports/*/reference-guided.png")))
    assert Image.open(short / "reference-guided.png").height > plain.height
