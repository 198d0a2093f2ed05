"""The benchmark from Python: the same results as the command's, as a pandas frame."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmark import load_results, run, run_suite
from benchmark.core.errors import RunFailed, UserError
from benchmark.metrics.registry import METRICS
from tests.pipeline.test_pipeline import METHOD, ROOT, configure

OPTIONS = {"threads": 1, "quiet": True}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config")
    configure(folder)
    return folder


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Path]) -> Path:
    return make_faces(identities=5)


@pytest.mark.usefixtures("block_features")
def test_the_frame_has_a_line_for_each_row_and_seed(config: Path, faces: Path, tmp_path: Path) -> None:
    results = run_suite(
        config / "dummies.yaml",
        config / "tiny.yaml",
        f"rendered:{faces}",
        seeds=(0, 3),
        out=tmp_path,
        jobs=1,
        **OPTIONS,
    )  # type: ignore[arg-type]
    frame = results.to_frame()
    assert list(zip(frame["row"], frame["seed"].fillna(-1), strict=True)) == [
        ("d-t", 0), ("d-t", 3), ("d-r", 0), ("d-r", 3), ("x-r", -1),
    ]  # fmt: skip
    written = json.loads((results.folder / "results.json").read_text())
    by_row = {row["id"]: row for row in written["rows"]}
    for _, line in frame[frame["seed"].notna()].iterrows():
        scores = by_row[line["row"]]["seeds"][str(line["seed"])]
        assert line["edits"] == scores["edits"]
        for metric in METRICS:
            value = scores["metrics"][metric.key]
            assert line[metric.key] == value if value is not None else pd.isna(line[metric.key])
    (absent,) = frame[frame["missing"] != ""].to_dict("records")
    assert absent["missing"] == "the method 'nobody' is not in this version"
    assert pd.isna(absent["fid"])
    assert set(frame["method"]) == {METHOD, "nobody"}
    means = frame.groupby("row")["ca"].mean()
    assert means["d-t"] == pytest.approx(sum(by_row["d-t"]["seeds"][seed]["metrics"]["ca"] for seed in "03") / 2)
    for path in (results.folder, results.folder / "results.json"):
        pd.testing.assert_frame_equal(load_results(path).to_frame(), frame)
    # The command finds that all is done, and prints the same.
    arguments = [*configure(config), "--data", f"rendered:{faces}", "--seeds", "0,3", "--out", str(tmp_path), "--json"]
    before = (results.folder / "manifest.json").stat().st_mtime_ns
    assert run.main(arguments) == 0
    assert (results.folder / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"suite": "tabel1"}, "unknown suite 'tabel1'; did you mean 'table1'"),
        ({"methods": ["hsid"]}, "did you mean 'hisd'"),
        ({"seeds": ()}, "1 to 1000 training seeds are needed, not 0"),
        ({"seeds": (0.5,)}, "--seeds: 0.5 is no seed"),
        ({"seeds": (True,)}, "--seeds: True is no seed"),
        ({"seeds": (2**32,)}, "--seeds: 4294967296 is no seed"),
        ({"jobs": 0}, "--jobs must be a whole number of at least 1, or auto"),
        ({"threads": -1}, "--threads must be at least 1, not -1"),
        ({"threads": 10**6}, "--threads must be at most 1,024, not 1000000"),
        ({"reference": Path("/dev/zero")}, "--reference /dev/zero is a device, not a folder"),
        ({"methods": []}, "no method is named: leave methods out for all of them"),
        ({"data": "nowhere"}, "unknown data set 'nowhere'"),
        ({"checkpoints": ["mtss"]}, "METHOD=DIR or ROW_ID=DIR is needed"),
        ({"profile": "paper", "features": "efficientnet-lite0"}, "takes no other features than inception"),
    ],
)
def test_wrong_options_are_one_line(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        run_suite(**{"out": tmp_path, **OPTIONS, **options})  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_a_profile_of_methods_that_do_not_exist_is_refused(config: Path, tmp_path: Path) -> None:
    profile = yaml.safe_load((config / "tiny.yaml").read_text())
    path = tmp_path / "other.yaml"
    for change, message in (
        ({"overrides": {"hisdd": {"why": "x", "settings": {}}}}, "no method 'hisdd' exists; did you mean 'hisd'"),
        ({"iterations": {"default": 1, "stargn": 2}}, "no method 'stargn' exists; did you mean 'stargan'"),
        (
            {"overrides": {"hisd": {"why": "x", "settings": {"bath": 4}}}},
            "no setting 'bath' in .*; did you mean 'batch_size'",
        ),
        (
            {"overrides": {"mtss": {"why": "x", "settings": {"batch_size": "4"}}}},
            "batch_size must be of type int, not '4'",
        ),
        (
            {"overrides": {"mtss": {"why": "x", "settings": {"batch_size": 10**9}}}},
            "batch_size must be at most 100,000, not 1000000000",
        ),
    ):
        path.write_text(yaml.safe_dump({**profile, **change}))
        with pytest.raises(UserError, match=message):
            run_suite(config / "dummies.yaml", path, out=tmp_path / "out", **OPTIONS)  # type: ignore[arg-type]


def test_a_run_that_fails_raises(config: Path, faces: Path, tmp_path: Path) -> None:
    configure(tmp_path, poison_at=3)
    with pytest.raises(RunFailed, match=r"is not finite|nan"):
        run_suite(config / "dummies.yaml", tmp_path / "tiny.yaml", f"rendered:{faces}", out=tmp_path / "out", **OPTIONS)  # type: ignore[arg-type]


def test_folders_without_results_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "results.json"):
        with pytest.raises(UserError, match=r"cannot be read|has schema None and this version reads") as error:
            load_results(path)
        assert "\n" not in str(error.value)


def test_import_benchmark_is_instant() -> None:
    code = "import sys, benchmark; sys.exit(len({'torch', 'pandas', 'pydantic', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
