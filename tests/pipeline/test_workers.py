"""Stages side by side: the same bytes, and what is left of a call that is cut or fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from benchmark import run
from benchmark.pipeline.engines import local
from benchmark.pipeline.worker_process import WorkerProcess
from tests.pipeline.test_pipeline import METHOD, ROOT, configure, report_of

STATE = "state.safetensors"
ITERATIONS = 40


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory, make_faces: Callable[..., Path]) -> list[str]:
    """Two trainings that do not wait for each other."""
    folder = tmp_path_factory.mktemp("config")
    configured = configure(folder)
    profile = yaml.safe_load((folder / "tiny.yaml").read_text())
    (folder / "tiny.yaml").write_text(yaml.safe_dump({**profile, "iterations": {"default": ITERATIONS}}))
    return [*configured[:4], "--quiet", "--seeds", "0,1", "--data", f"rendered:{make_faces(identities=5)}"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, arguments: list[str]) -> bytes:
    """The results of one stage after the other."""
    out = tmp_path_factory.mktemp("alone")
    assert run.main([*arguments, "--jobs", "1", "--threads", "1", "--out", str(out)]) == 0
    return (report_of(out) / "results.json").read_bytes()


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, arguments: list[str]) -> Path:
    """The same with two jobs; the trainings wait until both are there."""
    out = tmp_path_factory.mktemp("beside")
    done, orphans = call(arguments, out, {"DUMMY_MEET": str(out)})
    assert done.returncode == 0, done.stderr
    assert not orphans
    return out


def call(arguments: list[str], out: Path, environment: dict[str, str]) -> tuple[subprocess.CompletedProcess[str], bool]:
    """The command with two jobs, in a group of its own; and whether a process of the group was left ten seconds after
    its end.
    """
    command = [sys.executable, "-m", "benchmark.run", *arguments, "--jobs", "2", "--threads", "2", "--out", str(out)]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    written, errors = process.communicate()
    done = subprocess.CompletedProcess(command, process.returncode, written, errors)
    late = time.monotonic() + 10
    while time.monotonic() < late:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return done, False
        time.sleep(0.05)
    return done, True


def test_side_by_side_gives_the_same_bytes(beside: Path, alone: bytes) -> None:
    assert (report_of(beside) / "results.json").read_bytes() == alone


def test_manifests_say_how_many_ran_with_how_many_threads(beside: Path) -> None:
    for kind in ("train", "judge", "scores", "reports"):
        for path in (beside / kind).glob("*/manifest.json"):
            result = json.loads(path.read_text())["made"]
            assert (result["threads"], result["jobs"]) == (1, 2)


def test_peak_memory_is_that_of_all_processes(beside: Path) -> None:
    """Three processes that have imported torch."""
    timings = json.loads((report_of(beside) / "timings.json").read_text())
    assert 3 * 150e6 < timings["peak memory (bytes)"] < 3 * 3e9


def test_no_stage_begins_before_its_inputs_are_there(beside: Path) -> None:
    """By the times of the folders: each was put in its place after all that it reads."""
    placed = {json.loads(path.read_text())["key"]: path for path in beside.glob("*/*/manifest.json")}
    assert len(placed) == 1 + 1 + 1 + 1 + 1 + 2 + 6 + 2 + 6 + 1
    for path in placed.values():
        for key in json.loads(path.read_text())["inputs"].values():
            assert placed[key].stat().st_mtime_ns <= path.stat().st_mtime_ns


def test_losses_of_workers_are_logged_once(beside: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{beside / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("fesbench")
    assert experiment is not None
    runs = {entry.info.run_name: entry for entry in client.search_runs([experiment.experiment_id])}
    assert {entry.info.status for entry in runs.values()} == {"FINISHED"}
    for name in ("d-t seed 0", "d-r seed 1"):
        steps = [point.step for point in client.get_metric_history(runs[name].info.run_id, "loss/distance")]
        assert steps == list(range(1, ITERATIONS + 1))


def test_no_more_workers_than_stages_that_are_ready(
    beside: Path, arguments: list[str], alone: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    started = []

    class Counted(WorkerProcess):
        def __init__(self, number: int, setup: bytes, gpu: str | None) -> None:
            started.append(number)
            super().__init__(number, setup, gpu)

    monkeypatch.setattr(local, "WorkerProcess", Counted)
    for path in [*(beside / "judge").iterdir(), *(beside / "reports").iterdir()]:
        shutil.rmtree(path)
    assert run.main([*arguments, "--jobs", "4", "--threads", "4", "--out", str(beside)]) == 0
    assert started == [0]
    assert (report_of(beside) / "results.json").read_bytes() == alone


def test_cut_in_every_way_and_called_again_gives_the_same_bytes(
    tmp_path: Path, arguments: list[str], alone: bytes
) -> None:
    pause = {"DUMMY_MEET": str(tmp_path), "DUMMY_PAUSE": "0.3"}
    first, orphans = call(arguments, tmp_path, {**pause, "DUMMY_CUT": "2 parent 15"})
    assert first.returncode == 128 + 15, first.stderr
    assert first.stderr == "stopped by SIGTERM; the same command goes on from the last saved state\n"
    assert not orphans
    assert len(list((tmp_path / "train").glob(f"*.partial/{STATE}"))) == 2
    for cut, status, message in [
        ("parent 9", -9, ""),
        ("self 9", 1, "its process was killed by SIGKILL, which is what the system does when memory runs out"),
        ("group 2", 128 + 2, "stopped by SIGINT; the same command goes on from the last saved state\n"),
        ("group 15", 128 + 15, "stopped by SIGTERM; the same command goes on from the last saved state\n"),
    ]:
        done, orphans = call(arguments, tmp_path, {**pause, "DUMMY_CUT": f"2 {cut}"})
        assert done.returncode == status, done.stderr
        assert message in done.stderr
        assert done.stderr.count("\n") == bool(message)
        assert not orphans
    assert run.main([*arguments, "--jobs", "1", "--threads", "1", "--out", str(tmp_path)]) == 0
    assert (report_of(tmp_path) / "results.json").read_bytes() == alone


def test_an_error_in_one_stage_stops_the_others_and_is_reported_once(tmp_path: Path, arguments: list[str]) -> None:
    suite = yaml.safe_load(Path(arguments[1]).read_text())
    row = {"method": METHOD, "guide": "T", "data": "F"}
    suite["rows"] = [
        {**row, "id": "bad", "label": "Bad", "variant": {"poison_at": 3}},
        {**row, "id": "good", "label": "Good"},
    ]
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(suite))
    mine = ["--suite", str(path), *arguments[2:5], *arguments[7:]]
    done, orphans = call(mine, tmp_path, {"DUMMY_MEET": str(tmp_path), "DUMMY_PAUSE": "0.4"})
    assert done.returncode == 1
    assert done.stderr.startswith("failed: Dummy: loss 'distance' is nan at iteration 4")
    assert done.stderr.count("\n") == 1
    assert not orphans
    assert (next((tmp_path / "train").glob("train-tests-dummy-dummy-f-*.partial")) / STATE).exists()
