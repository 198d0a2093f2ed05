"""The whole pipeline on the dummy method: every stage, every file, within seconds; and cut at any moment."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmark import run
from benchmark.core.artifacts import MANIFEST
from benchmark.report.results import load_results
from tests.photo_folders import write_cfee, write_rafd, write_table

ROOT = Path(__file__).parents[2]
METHOD = "tests.dummy:Dummy"


def configure(folder: Path, **settings: object) -> list[str]:
    """A suite of the dummy with two guides (one training), a row of a method that is not there, and a small profile."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"id": "d-t", "label": "Dummy (T)", "method": METHOD, "guide": "T", "data": "F"},
        {"id": "d-r", "label": "Dummy (R)", "method": METHOD, "guide": "R", "data": "F"},
        {"id": "x-r", "label": "Nobody (R)", "method": "nobody", "guide": "R", "data": "F"},
    ]
    profile = {
        "title": "tiny", "notice": "Seconds only.", "size": 32, "width": 1.0, "features": "efficientnet-lite0",
        "judge_epochs": 1, "reader_pictures": 64, "checkpoint_every": 2, "log_every": 1, "iterations": {"default": 7},
        "targets_per_source": 1, "allow_small": True,
        "overrides": {METHOD: {"why": "a test", "settings": settings}},
    }  # fmt: skip
    (folder / "dummies.yaml").write_text(yaml.safe_dump({"title": "Dummies", "rows": rows}))
    (folder / "tiny.yaml").write_text(yaml.safe_dump(profile))
    return [
        "--suite",
        str(folder / "dummies.yaml"),
        "--profile",
        str(folder / "tiny.yaml"),
        "--threads",
        "1",
        "--quiet",
    ]


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Path]) -> Path:
    return make_faces(identities=5)


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory, faces: Path) -> list[str]:
    return [*configure(tmp_path_factory.mktemp("config")), "--data", f"rendered:{faces}"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, arguments: list[str]) -> Path:
    """An undisturbed run."""
    out = tmp_path_factory.mktemp("whole")
    assert run.main([*arguments, "--out", str(out)]) == 0
    return out


def report_of(out: Path) -> Path:
    (report,) = (path for path in (out / "reports").iterdir() if path.suffix != ".partial")
    return report


def test_every_number_is_there_and_right(whole: Path) -> None:
    results = load_results(report_of(whole) / "results.json")
    labelled, referenced, absent = results.rows
    assert absent.missing == "the method 'nobody' is not in this version"
    assert not absent.seeds
    for row in (labelled, referenced):
        scores = row.seeds[0]
        assert scores.edits == 2 * 8
        # Whether a reader trained for a moment reads any change is chance.
        assert {key for key, value in scores.metrics.items() if value is None} <= {"gain"}
        assert row.training is not None
        assert row.training.iterations == 7
        assert row.training.images_seen == 7 * 8
    assert results.features.column == "FD[lite0]"
    assert results.test_identities == 2
    assert results.train_identities == 3
    per_edit = pd.read_parquet(next((whole / "scores").glob("*-t-*/per-edit.parquet")))
    metrics = labelled.seeds[0].metrics
    assert metrics["ca"] == pytest.approx(100 * (per_edit["judged"] == per_edit["target"]).mean())
    assert metrics["psnr_true"] == pytest.approx(per_edit["psnr_true"].clip(upper=100).mean())


def test_the_page_shows_the_edits_and_answers_of_the_run(whole: Path, arguments: list[str]) -> None:
    page = (report_of(whole) / "report.html").read_text(encoding="utf-8")
    per_edit = pd.read_parquet(next((whole / "scores").glob("*-t-*/per-edit.parquet")))
    best, worst = (per_edit.loc[index] for index in (per_edit["psnr_true"].idxmax(), per_edit["psnr_true"].idxmin()))
    for edit in (best, worst):
        words = f"{edit['source_expression']} to {edit['target']}, judged {edit['judged']}"
        assert f'<span class="value">{edit["psnr_true"]:.2f}</span> {words}' in page
    assert page.count("F, 16 edits</span>") == 2  # a matrix of the judge's answers for each row
    assert "data:image/webp" in page
    command = " ".join(re.findall(r'<span class="word">([^<]*)</span>', page.partition("</code>")[0]))
    assert command.startswith("python -m benchmark.run --suite ")
    shown, given = (run.parser().parse_args(words) for words in (command.split()[3:], arguments))
    assert [getattr(shown, name) for name in ("suite", "profile", "data", "seeds")] == [
        getattr(given, name) for name in ("suite", "profile", "data", "seeds")
    ]


def test_rows_share_one_training(whole: Path) -> None:
    assert len(list((whole / "train").iterdir())) == 1
    assert len(list((whole / "synth").iterdir())) == 4


def test_a_manifest_is_enough_to_make_it_again(whole: Path) -> None:
    manifest = json.loads(next((whole / "train").glob("*/manifest.json")).read_text())
    assert manifest["settings"]["method"] == METHOD
    assert manifest["settings"]["seed"] == 0
    assert manifest["settings"]["settings"]["learning_rate"] == 0.05
    assert set(manifest["files"]) == {"weights.safetensors", "losses.parquet", "checkpoint.json"}
    assert {"command", "time", "platform", "python", "packages", "commit", "threads"} <= set(manifest["made"])


def times(out: Path) -> dict[Path, int]:
    """When each file was written, but for what is only remembered."""
    files = (path for path in out.rglob("*") if path.is_file() and "cache" not in path.parts)
    return {path: path.stat().st_mtime_ns for path in files}


def test_the_second_call_makes_nothing(
    whole: Path, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = times(whole)
    monkeypatch.setattr("benchmark.stages.train.Train.run", None)
    assert run.main([*arguments, "--out", str(whole), "--json"]) == 0
    assert capsys.readouterr().out == (report_of(whole) / "results.json").read_text()
    assert times(whole) == before


def test_dry_run_makes_nothing_and_shows_what_is_there(
    whole: Path, arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run.main([*arguments, "--out", str(whole), "--dry-run"]) == 0
    assert "everything is there" in capsys.readouterr().out
    assert run.main([*arguments, "--out", str(tmp_path), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "to do" in shown
    assert "row x-r: left out" in shown
    assert not list(tmp_path.glob("train/*"))


def test_mlflow_has_parent_children_losses_and_metrics(whole: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{whole / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("fesbench")
    assert experiment is not None
    runs = {entry.info.run_name: entry for entry in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"dummies tiny rendered", "d-t seed 0", "d-r seed 0"}
    assert {entry.info.status for entry in runs.values()} == {"FINISHED"}
    child = runs["d-t seed 0"]
    assert child.data.tags["mlflow.parentRunId"] == runs["dummies tiny rendered"].info.run_id
    results = load_results(report_of(whole) / "results.json")
    assert child.data.metrics["ca"] == results.rows[0].seeds[0].metrics["ca"]
    steps = [point.step for point in client.get_metric_history(child.info.run_id, "loss/distance")]
    assert steps == [1, 2, 3, 4, 5, 6, 7]
    assert child.data.params["settings.learning_rate"] == "0.05"


def test_a_dead_tracking_server_is_one_line_and_the_next_call_logs(
    tmp_path: Path,
    arguments: list[str],
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from mlflow import MlflowClient

    copy = tmp_path / "copy"
    shutil.copytree(whole, copy, ignore=shutil.ignore_patterns("reports", "train", "mlflow*"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert run.main([*arguments, "--out", str(copy)]) == 0
    (line,) = capfd.readouterr().err.splitlines()
    assert "MLflow at http://127.0.0.1:9 does not answer" in line
    assert "check MLFLOW_TRACKING_URI" in line
    assert (report_of(copy) / "results.json").read_bytes() == (report_of(whole) / "results.json").read_bytes()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    for _ in range(2):
        assert run.main([*arguments, "--out", str(copy)]) == 0
    assert capfd.readouterr().err == ""
    client = MlflowClient(f"sqlite:///{copy / 'mlflow.db'}")
    logged = client.search_runs([client.get_experiment_by_name("fesbench").experiment_id])  # type: ignore[union-attr]
    assert [entry.info.status for entry in logged] == ["FINISHED"] * 3
    for child in (entry for entry in logged if "loss/distance" in entry.data.metrics):
        assert len(client.get_metric_history(child.info.run_id, "loss/distance")) == 7
        assert child.data.metrics["ca"] >= 0
    files = {file.path for entry in logged for file in client.list_artifacts(entry.info.run_id, "report")}
    assert "report/report.md" in files


@pytest.mark.usefixtures("block_features")
def test_a_folder_named_as_rafds_goes_through(tmp_path: Path) -> None:
    write_rafd(tmp_path / "rafd")
    call = [*configure(tmp_path / "config"), "--data", f"rafd:{tmp_path / 'rafd'}", "--out", str(tmp_path / "out")]
    assert run.main(call) == 0
    results = load_results(report_of(tmp_path / "out") / "results.json")
    scores = results.rows[0].seeds[0]
    assert results.data == "rafd"
    assert scores.metrics["fid"] is not None
    assert scores.metrics["fid_cropped"] is not None
    assert "ACTION UNITS ARE NOT MEASURED" in (report_of(tmp_path / "out") / "table.md").read_text()


@pytest.mark.usefixtures("block_features")
@pytest.mark.parametrize(("name", "write"), [("cfee", write_cfee), ("folder", write_table)])
def test_cfee_and_a_folder_with_a_table_go_through(name: str, write: Callable[[Path], Path], tmp_path: Path) -> None:
    """CFEE has seven expressions, a folder no action units: what needs the missing is left out, and said."""
    data = f"{name}:{write(tmp_path / name)}"
    call = [*configure(tmp_path / "config"), "--data", data, "--out", str(tmp_path / "out")]
    assert run.main(call) == 0
    results = load_results(report_of(tmp_path / "out") / "results.json")
    assert results.data == name
    scores = results.rows[0].seeds[0]
    assert None not in (scores.metrics["fid"], scores.metrics["fid_cropped"])
    assert ("contemptuous" in scores.ca_by_expression) is (name == "folder")
    assert any("No picture shows: contemptuous" in note for note in results.data_notes) is (name == "cfee")


@pytest.mark.usefixtures("block_features")
def test_without_looking_for_faces_there_are_no_crops(tmp_path: Path) -> None:
    data = f"rafd:{write_rafd(tmp_path / 'rafd')},faces=none"
    call = [*configure(tmp_path / "config"), "--data", data, "--out", str(tmp_path / "out")]
    assert run.main(call) == 0
    scores = load_results(report_of(tmp_path / "out") / "results.json").rows[0].seeds[0]
    assert scores.metrics["fid_cropped"] is None
    assert "no landmarks" in scores.reasons["fid_cropped"]


def killed_arguments(folder: Path, arguments: list[str]) -> list[str]:
    """Options of a run whose iteration 4 meets a signal, unless its mark is there."""
    return [*configure(folder / "config", kill_at=4), *arguments[-2:], "--out", str(folder / "out")]


def kill_with(patch: pytest.MonkeyPatch, folder: Path, signum: signal.Signals) -> None:
    patch.setenv("DUMMY_KILL_MARK", str(folder / "mark"))
    patch.setenv("DUMMY_KILL_SIGNAL", str(int(signum)))


@pytest.fixture(scope="module")
def spared(tmp_path_factory: pytest.TempPathFactory, arguments: list[str]) -> Path:
    """An undisturbed run of the settings of the killed ones: its mark is there, so the kill has been."""
    folder = tmp_path_factory.mktemp("spared")
    (folder / "mark").touch()
    with pytest.MonkeyPatch.context() as patch:
        kill_with(patch, folder, signal.SIGKILL)
        assert run.main(killed_arguments(folder, arguments)) == 0
    return folder / "out"


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_killed_in_training_and_called_again_gives_the_same_bytes(
    tmp_path: Path, arguments: list[str], spared: Path, signum: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call has a process of its own, the second this one."""
    call = killed_arguments(tmp_path, arguments)
    kill_with(monkeypatch, tmp_path, signum)
    first = subprocess.run(
        [sys.executable, "-m", "benchmark.run", *call], cwd=ROOT, env=os.environ, capture_output=True, text=True
    )
    assert first.returncode == (-signum if signum == signal.SIGKILL else 128 + signum), first.stderr
    assert "Traceback" not in first.stderr
    assert not (tmp_path / "out" / "reports").exists()
    assert list((tmp_path / "out" / "train").glob("*.partial/state.safetensors"))
    assert run.main(call) == 0
    actual, expected = (report_of(out) / "results.json" for out in (tmp_path / "out", spared))
    assert actual.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--suite", "tabel1"], "unknown suite 'tabel1'; did you mean 'table1'?"),
        (["--profile", "qiuck"], "unknown profile 'qiuck'; did you mean 'quick'?"),
        (["--methods", "tests.dumy:Dummy"], "did you mean 'tests.dummy:Dummy'?"),
        (["--data", "renderd"], "unknown data set 'renderd'; did you mean 'rendered'?"),
        (["--seeds", "0,x1"], "'x1' is no seed (whole numbers from 0 to 4294967295, by commas); did you mean '1'?"),
        (["--seeds", "1.6"], "did you mean '2'?"),
        (["--seeds=-3"], "did you mean '0'?"),
        (["--seeds", "nan"], "did you mean '0'?"),
        (["--seeds", "0,,1"], "none of them empty"),
        (["--seeds", "9" * 5000], "did you mean '4294967295'?"),
        (["--seeds", ",".join(map(str, range(1001)))], "1 to 1000 training seeds are needed, not 1001"),
        (["--methods", "x" * 5000], "unknown method 'xxx"),
        (["--suite", "x" * 5000], "unknown suite 'xxx"),
        (["--suite", "x" * 5000 + ".yaml"], "does not exist"),
        (["--jobs", "9" * 5000], "or auto, not '999"),
        (["--threads", "9" * 5000], "argument --threads: invalid int value: '999"),
        (["--out", "/proc/nowhere"], "cannot be written"),
        (["--threads", "0"], "--threads must be at least 1"),
        (["--jobs", "0"], "--jobs must be a whole number of at least 1, or auto, not '0'"),
        (["--jobs", "two"], "or auto, not 'two'"),
        (["--device", "cudda"], "invalid choice"),
        (["--features", "inception", "--fid-weights", "none.pth"], "none.pth"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(
    tmp_path: Path, arguments: list[str], change: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        status = run.main([*arguments, "--out", str(tmp_path), *change])
    except SystemExit as stop:
        status = int(stop.code or 0)
    assert status == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "cache" not in path.parts]


@pytest.mark.parametrize("report_is_there", [True, False])
def test_damaged_artifacts_are_set_aside_and_made_again(
    tmp_path: Path, arguments: list[str], whole: Path, report_is_there: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """One of every kind, whether or not what was made of them is there."""
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    kinds = ("faces", "train", "judge", "features", "synth", "scores")
    damaged = sorted(next((copy / kind).iterdir()) for kind in kinds)
    for number, folder in enumerate(damaged):
        largest = max(folder.iterdir(), key=lambda path: (path.name != MANIFEST, path.stat().st_size))
        path = largest if number % 2 else folder / MANIFEST
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    if not report_is_there:
        shutil.rmtree(copy / "reports")
    assert run.main([*arguments, "--out", str(copy), "--quiet"]) == 0
    lines = capfd.readouterr().err.splitlines()
    assert sorted(line.partition(" was damaged (")[0] for line in lines) == [f"warning: {path}" for path in damaged]
    for folder in damaged:
        assert {path.name for path in folder.iterdir()} == {path.name for path in Path(f"{folder}.damaged").iterdir()}
    assert (report_of(copy) / "results.json").read_bytes() == (report_of(whole) / "results.json").read_bytes()
    assert run.main([*arguments, "--out", str(copy), "--quiet"]) == 0
    assert capfd.readouterr().err == ""


def test_a_full_disk_is_one_line_in_every_stage_and_costs_nothing(
    tmp_path: Path, arguments: list[str], whole: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A limit on the size of files stands for the end of the disk."""
    copy, kept = tmp_path / "copy", tmp_path / "kept"
    shutil.copytree(whole, copy)
    kept.mkdir()
    shutil.rmtree(copy / "reports")
    for kind in ("reports", "scores", "synth", "features", "judge", "train", "faces"):
        if kind != "reports":
            (copy / kind).rename(kept / kind)
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limit[1]))
        try:
            assert run.main([*arguments, "--out", str(copy)]) == 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        (line,) = (line for line in capfd.readouterr().err.splitlines() if not line.startswith("warning: MLflow"))
        assert line.startswith("failed: cannot write ")
        assert line.endswith("(File too large): make room; the same command goes on from what is saved")
        assert not [path for path in (copy / kind).iterdir() if path.suffix != ".partial"]
        if kind not in ("reports", "faces"):
            shutil.rmtree(copy / kind)
            (kept / kind).rename(copy / kind)
    assert run.main([*arguments, "--out", str(copy)]) == 0
    assert (report_of(copy) / "results.json").read_bytes() == (report_of(whole) / "results.json").read_bytes()


def test_too_little_disk_is_reported_before_the_start(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10_000_000))
    assert run.main([*arguments, "--out", str(tmp_path)]) == 2
    assert "0.0 GB left and this plan may write" in capfd.readouterr().err


def test_pictures_smaller_than_the_profile_are_refused(
    tmp_path: Path, arguments: list[str], faces: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    profile = Path(arguments[3])
    larger = tmp_path / "larger.yaml"
    larger.write_text(profile.read_text().replace("size: 32", "size: 64"))
    assert run.main([*arguments, "--profile", str(larger), "--out", str(tmp_path / "out")]) == 2
    assert "is 32 x 32 px, and the profile needs 64 px" in capfd.readouterr().err


def test_nan_fails_with_status_1(tmp_path: Path, faces: Path, capfd: pytest.CaptureFixture[str]) -> None:
    call = [*configure(tmp_path / "config", poison_at=5), "--data", f"rendered:{faces}", "--out", str(tmp_path / "out")]
    assert run.main(call) == 1
    assert (
        "failed: Dummy: loss 'distance' is nan at iteration 6; the last good state is kept in" in capfd.readouterr().err
    )


def test_a_set_that_cannot_be_edited_is_refused_before_any_training(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = write_rafd(tmp_path / "rafd", range(5), expressions=("happy",))
    call = [*configure(tmp_path / "config"), "--data", f"rafd:{root}", "--out", str(tmp_path / "out"), "--quiet"]
    assert run.main(call) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert "no row of suite dummies can be measured, the first (Dummy (T), F) since all train pictures of" in error
    assert "show happy, and two expressions are needed; python -m benchmark.prepare says what a data set has" in error
    assert not [path for path in (tmp_path / "out" / "train").glob("*") if path.suffix != ".partial"]


@pytest.mark.usefixtures("block_features")
def test_rows_that_the_pictures_are_not_enough_for_are_left_out_before_any_training(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """No camera is before the people: frontal rows go, the others are measured, and the report says so."""
    root = write_rafd(tmp_path / "rafd", range(5), cameras=(45, 135), expressions=("happy", "sad", "neutral"))
    (root / "holiday.jpg").write_bytes(b"not RaFD's")
    call = configure(tmp_path / "config")
    rows = [
        {"id": "f", "label": "Frontal", "method": METHOD, "guide": "T", "data": "F"},
        {"id": "fp", "label": "Posed", "method": METHOD, "guide": "T", "data": "F&P"},
    ]
    Path(call[1]).write_text(yaml.safe_dump({"title": "Dummies", "rows": rows}))
    out = tmp_path / "out"
    call += ["--data", f"rafd:{root}", "--out", str(out)]
    assert run.main([*call, "--dry-run"]) == 0
    assert "the pictures have not been looked at yet" in " ".join(capfd.readouterr().out.split())
    assert run.main(call) == 0
    frontal, posed = load_results(report_of(out) / "results.json").rows
    assert frontal.missing == "0 train people have pictures of subset F, and two are needed"
    assert posed.seeds[0].metrics["fid"] is not None
    assert [path.name.rpartition("-")[0] for path in (out / "judge").iterdir()] == ["judge-fp"]
    capfd.readouterr()
    assert run.main([*call, "--dry-run"]) == 0
    shown = " ".join(capfd.readouterr().out.split())
    assert "everything is there" in shown
    assert "not been looked at" not in shown
    assert f"row f: left out, {frontal.missing}" in shown
    # What was set aside is listed beside the tables that speak of it.
    listed = pd.read_csv(report_of(out) / "set-aside.csv")
    assert listed[["path", "reason"]].to_numpy().tolist() == [["holiday.jpg", "misnamed"]]
    assert "set-aside.csv has each" in (report_of(out) / "report.md").read_text()
    # The page has none of these pictures unless they are asked for, which makes the report alone again.
    before, made = report_of(out), times(out / "scores")
    page = (before / "report.html").read_text(encoding="utf-8")
    assert "may not be passed on, so this page has none" in page
    assert "data:image" not in page
    assert run.main([*call, "--faces-in-page"]) == 0
    (after,) = set((out / "reports").iterdir()) - {before}
    page = (after / "report.html").read_text(encoding="utf-8")
    assert "who have not agreed to their publication" in page
    assert "data:image/webp" in page
    assert times(out / "scores") == made
