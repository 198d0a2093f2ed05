"""`run --checkpoint`: a checkpoint from elsewhere is scored like one that was trained here, and said not to be."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from baselines.stargan import StarGAN, StarGANSettings, published_names
from benchmark import import_checkpoint, run
from benchmark.config.profiles import load_profile
from benchmark.config.suites import Suite, load_suite
from benchmark.core.errors import UserError
from benchmark.data.registry import open_source
from benchmark.importing.stage import choose_checkpoints
from benchmark.interface import Shape
from benchmark.pipeline.plan import Plan
from benchmark.pipeline.request import PlanRequest
from benchmark.report.results import SuiteResults, load_results
from benchmark.stages.features import choose_extractor
from benchmark.stages.report import PEAK
from tests import published_files as published
from tests.one_thread import one_thread  # noqa: F401 (fixture)

DUMMY = "tests.dummy:Dummy"


def configure(folder: Path, size: int = 32) -> list[str]:
    """A row that is trained, and one of StarGAN."""
    rows = [
        {"id": "d-t", "label": "Dummy (T)", "method": DUMMY, "guide": "T", "data": "F"},
        {"id": "stargan-t", "label": "StarGAN (T)", "method": "stargan", "guide": "T", "data": "F"},
    ]
    profile = {
        "title": "tiny", "notice": "Seconds only.", "size": size, "width": 1.0, "features": "efficientnet-lite0",
        "judge_epochs": 1, "reader_pictures": 64, "checkpoint_every": 2, "log_every": 1, "iterations": {"default": 3},
        "targets_per_source": 1, "allow_small": True,
    }  # fmt: skip
    (folder / "mixed.yaml").write_text(yaml.safe_dump({"title": "Mixed", "rows": rows}))
    (folder / "tiny.yaml").write_text(yaml.safe_dump(profile))
    return ["--suite", str(folder / "mixed.yaml"), "--profile", str(folder / "tiny.yaml"), "--threads", "1", "--quiet"]


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory, make_faces: Callable[..., Path]) -> list[str]:
    folder = tmp_path_factory.mktemp("config")
    return [*configure(folder), "--data", f"rendered:{make_faces(identities=5)}"]


@pytest.fixture(scope="module")
def stargan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An imported checkpoint without a discriminator."""
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(0)
    method = StarGAN(StarGANSettings(width=0.0625, residual_blocks=1), Shape(32))
    files = published.save_stargan(method, published_names, folder)
    call = ["--method", "stargan", "--from", str(files[0]), "--out", str(folder / "imported"), "--size", "32"]
    assert import_checkpoint.main(call) == 0
    return folder / "imported"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, arguments: list[str], stargan: Path) -> Path:
    """A run that trains the dummy and is given StarGAN."""
    out = tmp_path_factory.mktemp("mixed")
    assert run.main([*arguments, "--seeds", "1", "--out", str(out), "--checkpoint", f"stargan={stargan}"]) == 0
    return out


def report_of(out: Path) -> Path:
    (report,) = (out / "reports").iterdir()
    return report


def results_of(out: Path) -> SuiteResults:
    return load_results(report_of(out) / "results.json")


def test_it_is_scored_and_its_training_is_unknown(mixed: Path) -> None:
    trained, other = results_of(mixed).rows
    assert set(trained.seeds) == set(other.seeds) == {1}
    # Whether a reader trained for a moment reads any change is chance.
    assert {key for key, value in other.seeds[1].metrics.items() if value is None} <= {"gain"}
    assert other.training is not None
    assert other.training.iterations is other.training.images_seen is None
    assert other.training.updates == {}
    assert other.training.overrides == {"width": 0.0625, "residual_blocks": 1}
    assert set(other.training.parameters) == {"generator"}
    assert other.trainings == {}
    assert other.origin.startswith("StarGAN was not trained here: a checkpoint of yunjey/stargan (200000-G.ckpt, SHA-")
    assert trained.origin == ""
    assert not list((mixed / "train").glob("*stargan*"))


def test_the_report_prints_dashes_and_a_footnote(mixed: Path) -> None:
    report = report_of(mixed)
    page = (report / "report.md").read_text()
    assert "StarGAN was not trained here: a checkpoint of yunjey/stargan" in page
    cost = page[page.index("## Training of") :].partition("\n## ")[0]
    (line,) = (line for line in cost.splitlines() if line.startswith("| StarGAN"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[2:5] == ["–", "–", "–"]
    assert cells[6] == "elsewhere"
    assert set(json.loads((report / "timings.json").read_text())) == {f"{DUMMY} F seed 1", PEAK}
    with (report / "extended.csv").open() as stream:
        (row,) = (row for row in csv.DictReader(stream) if row["method"] == "stargan")
    assert row["iterations"] == row["images_seen"] == row["training_seconds"] == ""
    assert row["not_trained_here"].startswith("StarGAN was not trained here")
    assert (report / "losses.png").exists()
    assert (report / "label-guided.png").exists()


def test_mlflow_has_its_metrics_and_no_losses(mixed: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{mixed / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("fesbench")
    assert experiment is not None
    runs = {entry.info.run_name: entry for entry in client.search_runs([experiment.experiment_id])}
    child = runs["stargan-t seed 1"]
    assert child.info.status == "FINISHED"
    assert child.data.metrics["ca"] == results_of(mixed).rows[1].seeds[1].metrics["ca"]
    assert not [name for name in child.data.metrics if name.startswith("loss/")]
    assert child.data.params["iterations"] == "unknown"


def test_one_checkpoint_has_one_seed_and_no_spread(arguments: list[str], stargan: Path, tmp_path: Path) -> None:
    suite, profile = load_suite(arguments[1]), load_profile(arguments[3])
    source = open_source(arguments[-1], tmp_path)
    chosen = choose_checkpoints([f"stargan={stargan}"], suite, profile)
    extractor = choose_extractor("efficientnet-lite0", None, False)
    trained, imported = Plan(PlanRequest(suite, profile, source, (0, 1, 2), extractor, "cpu", chosen)).rows
    assert [len(entry.scores) for entry in (trained, imported)] == [3, 1]
    assert imported.trains[0] is chosen["stargan-t"]


def test_the_second_call_makes_nothing(
    mixed: Path, arguments: list[str], stargan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The content counts, not the place: a moved folder is the same checkpoint."""
    moved = shutil.copytree(stargan, tmp_path / "elsewhere")
    before = _times(mixed)
    monkeypatch.setattr("benchmark.importing.stage.Imported.run", None)
    monkeypatch.setattr("benchmark.stages.train.Train.run", None)
    call = [*arguments, "--seeds", "1", "--out", str(mixed), "--checkpoint", f"stargan-t={moved}"]
    assert run.main([*call, "--json"]) == 0
    assert capsys.readouterr().out == (report_of(mixed) / "results.json").read_text()
    assert run.main([*call, "--dry-run"]) == 0
    assert "everything is there" in capsys.readouterr().out
    assert _times(mixed) == before


def _times(folder: Path) -> dict[Path, int]:
    """When each file was written; what is only remembered (cache/) may be written at any time."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] != "cache")
    return {path: path.stat().st_mtime_ns for path in files}


def test_dry_run_makes_nothing_and_knows_how_long(
    arguments: list[str], stargan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = [*arguments, "--methods", "stargan", "--out", str(tmp_path / "out"), "--checkpoint", f"stargan={stargan}"]
    assert run.main([*call, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "import stargan" in shown
    assert "train stargan" not in shown
    assert not list((tmp_path / "out").glob("imported/*"))


def test_a_finished_training_gives_the_numbers_it_gave(
    mixed: Path, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("faces", "judge", "features"):
        shutil.copytree(mixed / kind, tmp_path / kind)  # what has nothing to do with it
    (training,) = (mixed / "train").iterdir()
    call = [*arguments, "--methods", DUMMY, "--out", str(tmp_path), "--checkpoint", f"{DUMMY}={training}"]
    assert run.main(call) == 0
    assert "elsewhere" in capsys.readouterr().out
    (ours,), theirs = results_of(tmp_path).rows, results_of(mixed).rows[0]
    assert ours.seeds[0].metrics == theirs.seeds[1].metrics
    assert ours.origin == "Dummy was not trained here: a training of 3 iterations on F, seed 1"
    assert ours.training == theirs.training
    assert not (tmp_path / "train").exists()
    assert not (report_of(tmp_path) / "losses.png").exists()


def test_damage_is_one_line(
    arguments: list[str], stargan: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def said(damage: Callable[[Path], object]) -> str:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(stargan, copy)
        damage(copy)
        assert run.main([*arguments, "--out", str(tmp_path / "out"), "--checkpoint", f"stargan={copy}"]) == 2
        captured = capfd.readouterr()
        assert captured.err.count("\n") == 1
        assert captured.out == ""
        assert not list((tmp_path / "out").glob("imported/*"))
        return captured.err

    def flip(folder: Path) -> None:
        content = bytearray((folder / "weights.safetensors").read_bytes())
        content[-1] ^= 1
        (folder / "weights.safetensors").write_bytes(content)

    def without_record(folder: Path, change: Callable[[dict[str, object]], object] = lambda _: None) -> None:
        text = json.loads((folder / "checkpoint.json").read_text())
        del text["files"]
        change(text)
        (folder / "checkpoint.json").write_text(json.dumps(text))

    def cut(folder: Path) -> None:
        without_record(folder)
        (folder / "weights.safetensors").write_bytes((folder / "weights.safetensors").read_bytes()[:-9])

    def lose(folder: Path) -> None:
        without_record(folder)
        tensors = load_file(folder / "weights.safetensors")
        del tensors["model.generator.head.weight"]
        save_file(tensors, folder / "weights.safetensors", {"fesbench": "{}"})

    assert "weights.safetensors is not what was written there" in said(flip)
    assert "weights.safetensors cannot be read" in said(cut)
    assert "1 tensors do not fit, 'model.generator.head.weight' for one" in said(lose)
    assert "cannot be read" in said(lambda folder: (folder / "weights.safetensors").unlink())
    assert "there is no checkpoint.json in it" in said(lambda folder: (folder / "checkpoint.json").unlink())
    assert "cannot be read" in said(lambda folder: (folder / "checkpoint.json").write_text("{"))
    assert "is damaged" in said(lambda folder: (folder / "checkpoint.json").write_text("[]"))
    assert "is damaged" in said(lambda folder: without_record(folder, lambda text: text.pop("shape")))
    assert "edits need its generator" in said(
        lambda folder: without_record(folder, lambda text: text.update(absent=["generator"]))
    )
    assert "do not fit" in said(lambda folder: without_record(folder, lambda text: text.update(absent=[])))
    assert "is damaged" in said(lambda folder: without_record(folder, lambda text: text.update(origin={})))
    assert "iterations must be a whole number" in said(
        lambda folder: without_record(folder, lambda text: text.update(iterations="many"))
    )
    assert "parameters must be a mapping" in said(
        lambda folder: without_record(folder, lambda text: text.update(parameters=None))
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("stargun={}", "unknown method or row 'stargun' in suite mixed; did you mean 'stargan'?"),
        ("d-t={}", "it is a checkpoint of 'stargan', not of 'tests.dummy:Dummy'"),
        ("stargan", "METHOD=DIR or ROW_ID=DIR is needed"),
        ("={}", "METHOD=DIR or ROW_ID=DIR is needed"),
        ("stargan={}/nowhere", "is missing, so it holds no checkpoint"),
        ("stargan={}/weights.safetensors", "benchmark.import_checkpoint makes one of a published file"),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments: list[str], stargan: Path, option: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run.main([*arguments, "--out", str(tmp_path), "--checkpoint", option.format(stargan)]) == 2
    captured = capfd.readouterr()
    assert captured.err.count("\n") == 1
    assert message in captured.err


def test_another_size_says_what_to_choose(stargan: Path, tmp_path: Path) -> None:
    suite = load_suite("table1")
    with pytest.raises(
        UserError, match=r"edits pictures of 32 px, and profile quick has 64 px: choose a profile of 32"
    ):
        choose_checkpoints([f"stargan={stargan}"], suite, load_profile("quick"))
    text = json.loads((stargan / "checkpoint.json").read_text())
    larger = shutil.copytree(stargan, tmp_path / "larger")
    text["shape"]["size"] = 128
    (larger / "checkpoint.json").write_text(json.dumps(text))
    with pytest.raises(UserError, match=r"a profile of 128 px \(paper\), or import it again with --size 64"):
        choose_checkpoints([f"stargan={larger}"], suite, load_profile("quick"))


def test_a_row_wins_over_its_method_and_variants_keep_theirs(stargan: Path, tmp_path: Path) -> None:
    profile = replace(load_profile("quick"), size=32)
    base = load_suite("table1").only(["stargan"])
    plain, six = replace(base.rows[0], id="one"), replace(base.rows[0], id="six", variant={"residual_blocks": 6})
    other = replace(base.rows[0], id="other")
    copy = shutil.copytree(stargan, tmp_path / "copy")
    suite = Suite("s", "S", (plain, other))
    chosen = choose_checkpoints([f"stargan={stargan}", f"other={copy}"], suite, profile)
    assert {name: actual._folder for name, actual in chosen.items()} == {"one": stargan, "other": copy}
    # This one has 1 block, so it is neither the row of 6 nor, where blocks are what rows differ in, the plain one.
    varied = Suite("s", "S", (replace(plain, variant={"residual_blocks": 1}), six, other))
    assert set(choose_checkpoints([f"stargan={stargan}"], varied, profile)) == {"one"}
    for choice in ("six", "other"):
        with pytest.raises(UserError, match=f"row {choice} has residual_blocks = 6, and the checkpoint 1"):
            choose_checkpoints([f"{choice}={stargan}"], varied, profile)
    with pytest.raises(UserError, match="row six has residual_blocks = 6"):
        choose_checkpoints([f"stargan={stargan}"], Suite("s", "S", (six, other)), profile)
    with pytest.raises(UserError, match="'one' has one already"):
        choose_checkpoints([f"one={stargan}", f"one={copy}"], suite, profile)
