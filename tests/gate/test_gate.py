"""The gate on the smallest method: its levels, its files, its exit statuses, and what it must not take over."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark import regress, run
from benchmark.core.artifacts import Store
from benchmark.core.errors import UserError
from benchmark.gate import kernels, writing
from benchmark.gate.plans import Suite
from benchmark.gate.pytest_plugin import gate_in
from benchmark.gate.reference import load_reference
from benchmark.interface import Faces, Target
from benchmark.metrics.psnr import PSNR_TRUE
from benchmark.metrics.ssim import SSIM
from benchmark.stages import synthesize
from tests.block_features import blocks_as_features
from tests.dummy import Dummy
from tests.pipeline.test_pipeline import ROOT, configure


@pytest.fixture(scope="module", autouse=True)
def features() -> Iterator[None]:
    """No network beside the judge and the reader."""
    with blocks_as_features(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.stages.reader.find_identity_weights", lambda: None)
        yield


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, make_faces: Callable[..., Path]) -> list[str]:
    settings = configure(tmp_path_factory.mktemp("config"))
    return [*settings[:4], "--data", f"rendered:{make_faces(identities=5)}"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, suite: list[str], features: None) -> Path:
    """Three seeds; other kernels are left out, which take a process each."""
    folder = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "OTHERS", ())
        patch.setattr("benchmark.gate.storing.OTHERS", ())
        patch.setattr("benchmark.gate.storing.probe_elsewhere", lambda *_: [])
        call = ["--store", str(folder / "mine.json"), *suite, "--seeds", "0,1,2", "--out", str(folder / "runs")]
        assert regress.main([*call, "--jobs", "1", "--quiet"]) == 0
    return folder / "mine.json"


def gate(stored: Path, out: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit status, and what `--json` has."""
    file = out / "gate.json"
    call = ["--against", str(stored), "--out", str(out), "--jobs", "1", "--quiet", "--json", str(file)]
    status = regress.main([*call, *options])
    return status, json.loads(file.read_text())


def verdicts(actual: Mapping[str, Any]) -> dict[str, str]:
    return {level["level"]: level["verdict"] for level in actual["levels"]}


# ------------------------------------------------------------------------------------------------ nothing changed
def test_equal_code_passes_at_once_and_measures_nothing(stored: Path, tmp_path: Path) -> None:
    status, actual = gate(stored, tmp_path)
    assert (status, verdicts(actual)) == (0, {"keys": "pass"})
    assert not (tmp_path / "gate").exists()


def test_measured_all_the_same_its_bytes_are_equal(stored: Path, tmp_path: Path) -> None:
    status, actual = gate(stored, tmp_path, "--always")
    assert status == 0
    assert verdicts(actual) == {"keys": "pass", "losses": "pass", "scores": "pass", "bytes": "pass"}
    off = [check for check in actual["checks"] if check["difference"] is not None]
    assert len(off) > 20
    assert all(abs(check["difference"]) <= 1e-8 * abs(check["stored"]) for check in off)  # stored with nine digits


def test_statistics_pass_where_no_bytes_are_stored(stored: Path, tmp_path: Path) -> None:
    status, actual = gate(stored, tmp_path, "--always", "--seeds", "5")
    assert status == 0, actual
    assert verdicts(actual)["bytes"] == "not compared"
    assert verdicts(actual)["statistics"] == "pass"
    checks = [check for check in actual["checks"] if check["level"] == "statistics"]
    gated = [check for check in checks if check["verdict"] != "reported"]
    assert len(checks) > 10
    assert {check["quantity"] for check in gated if check["subject"] != "judge"} == {"fid", "psnr_true", "ca"}
    assert actual["comparisons"] == len(gated)
    assert actual["needed"] > 3
    assert all(check["bound"] >= 0 and check["visible"] >= check["bound"] for check in gated)


# ------------------------------------------------------------------------------------------------ planted faults
def test_a_loss_of_another_sign_is_seen_by_the_first_losses(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Dummy.training_step

    def wrong(self: Dummy, faces: Any, update: Any, progress: Any) -> dict[str, Tensor]:
        return step(self, faces, lambda name, loss: update(name, -loss), progress)

    monkeypatch.setattr(Dummy, "training_step", wrong)
    status, actual = gate(stored, tmp_path, "--always")
    assert (status, verdicts(actual)) == (1, {"keys": "pass", "losses": "regressed"})
    off = {check["quantity"] for check in actual["checks"] if check["verdict"] == "regressed"}
    assert "total colours 1" in off


def test_edits_with_colours_swapped_are_seen_by_the_stored_weights(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = Dummy.edit

    def wrong(self: Dummy, sources: Faces, target: Target) -> Tensor:
        return edit(self, sources, target).flip(1)

    monkeypatch.setattr(Dummy, "edit", wrong)
    status, actual = gate(stored, tmp_path, "--always")
    assert (status, verdicts(actual)["losses"], verdicts(actual)["scores"]) == (1, "pass", "regressed")
    assert "bytes" not in verdicts(actual)


def test_a_level_that_fails_ends_the_gate_unless_all_are_wanted(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = object.__getattribute__(PSNR_TRUE, "compare")

    def wrong(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return measured(a, b) - 900

    monkeypatch.setitem(PSNR_TRUE.__dict__, "compare", wrong)
    status, actual = gate(stored, tmp_path, "--always", "--all-levels", "--assume-normal")
    assert status == 1
    assert verdicts(actual)["scores"] == "regressed"
    assert verdicts(actual)["bytes"] == "different"
    assert verdicts(actual)["statistics"] == "regressed"
    named = next(level["words"] for level in actual["levels"] if level["level"] == "bytes")
    assert "the first stage that differs is 'score " in named
    assert "under the same key: raise the version" in named


def test_what_other_code_has_made_is_not_taken_over(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stale cache: --out has finished scores of the right keys, made before a metric was broken."""
    runs = stored.parent / "runs" / "stored"
    shutil.copytree(runs, tmp_path, dirs_exist_ok=True)
    for kind in ("scores", "synth", "train"):
        assert any((tmp_path / kind).iterdir())
    monkeypatch.setitem(PSNR_TRUE.__dict__, "compare", lambda a, b: np.full(len(a), 9.0))
    status, actual = gate(stored, tmp_path, "--always")
    assert (status, verdicts(actual)["scores"]) == (1, "regressed")


def test_a_stale_artifact_that_is_answered_for_all_is_seen(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache whose key forgets the guide: edits by reference are those by label."""
    find = Store.find

    def wrong(self: Store, recipe: Any) -> Any:
        if recipe.kind == "synth" and recipe.settings["guide"] == "R":
            label = [path for path in (self.root / "synth").glob("*-t-*") if (path / "manifest.json").exists()]
            if label:
                from benchmark.core.artifacts import MANIFEST, Artifact, Manifest

                return Artifact(label[0], Manifest.read(label[0] / MANIFEST))
        return find(self, recipe)

    monkeypatch.setattr(Store, "find", wrong)
    status, actual = gate(stored, tmp_path, "--always")
    assert (status, verdicts(actual)["scores"]) == (1, "regressed")


# ------------------------------------------------------------------------------------------------ declared changes
def test_a_raised_version_is_not_comparable_until_it_is_stored_again(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesize.Synthesize, "version", 99)
    status, actual = gate(stored, tmp_path, "--always")
    assert status == 4
    assert verdicts(actual)["scores"] == "not comparable"


def test_other_faces_are_not_comparable(stored: Path, tmp_path: Path, make_faces: Callable[..., Path]) -> None:
    content = json.loads(stored.read_text())
    content["data"] = f"rendered:{make_faces(identities=6)}"
    shutil.copytree(stored.with_suffix(""), tmp_path / "other")
    (tmp_path / "other.json").write_text(json.dumps(content))
    status, actual = gate(tmp_path / "other.json", tmp_path)
    assert (status, verdicts(actual)) == (4, {"keys": "not comparable"})


# ------------------------------------------------------------------------------------------------ files
def test_files_for_ci(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PSNR_TRUE.__dict__, "compare", lambda a, b: np.full(len(a), 9.0))
    files = tmp_path / "junit.xml", tmp_path / "summary.md"
    status, actual = gate(stored, tmp_path, "--always", "--junit", str(files[0]), "--summary", str(files[1]))
    assert status == 1
    root = ElementTree.fromstring(files[0].read_text())
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["keys", "losses", "scores"]
    assert len(root.findall(".//failure")) == sum(check["verdict"] == "regressed" for check in actual["checks"])
    assert suites["scores"].get("failures") == str(len(suites["scores"].findall("testcase/failure")))
    text = files[1].read_text()
    assert text.startswith("## Gate: regressed")
    assert "data:image/png;base64," in text
    assert len(text.encode()) < 1 << 20


def test_weights_are_small_exact_and_load(stored: Path) -> None:
    reference = load_reference(stored)
    (name,) = set(reference.weights.values())
    from benchmark.training.checkpoint import load_tensors

    tensors, text = load_tensors(stored.with_suffix("") / name)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert sorted(tensors) == ["colours.weight", "mix.bias", "mix.weight"]
    assert text["checkpoint"]["method"] == "tests.dummy:Dummy"


# ------------------------------------------------------------------------------------------------ wrong calls
def test_a_summary_waits_for_nobody_who_reads_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result: Any = None
    monkeypatch.setattr(writing, "summary", lambda *_: "x" * 10)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"--summary .*pipe cannot be written"):
        writing.write_summary(result, tmp_path / "pipe")
    for _ in range(2):
        writing.write_summary(result, tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text() == "x" * 20


@pytest.mark.parametrize("name", ["", "file/x", "/proc/nowhere/x"])
def test_a_summary_that_cannot_be_written_is_told_before_any_work(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    call = ["--against", str(ROOT / "results" / "reference" / "smoke.json"), "--out", str(tmp_path / "out")]
    assert regress.main([*call, "--summary", str(tmp_path / name)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --summary ")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    regress._check_appendable(Path(os.devnull), "--summary")  # as /dev/stdout


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["--against", "nowhere.json"], "nowhere.json cannot be read"),
        (["--against", "{stored}", "--suite", "table1"], "--suite table1"),
        (["--against", "{stored}", "--seeds", "0,1,2", "--up-to", "2"], "--up-to 2: it must be at least"),
        (["--against", "{stored}", "--margin", "fdi=3"], "unknown metric 'fdi'; did you mean 'fid'?"),
        (["--against", "{stored}", "--margin", "fid=-3"], "'-3' is neither a number"),
        (["--against", "{stored}", "--margin", "fid"], "METRIC=VALUE is needed"),
        (["--against", "{stored}", "--jobs", "0"], "--jobs must be a whole number"),
        (["--against", "{stored}", "--gpu-share", "nan"], "--gpu-share must be above 0"),
        (["--against", "{stored}", "--json", "/dev/null"], "is a device, not a file: choose another name"),
        (["--against", "{stored}", "--gated", "fid"], "--gated has no part in --against: it is declared with --store"),
        (["--against", "{stored}", "--results", ".", "--up-to", "auto"], "--up-to has no part in --results: what is"),
        (["--against", "{stored}", "--results", ".", "--strip", "a.png"], "--strip has no part in --results"),
        (["--store", "mine.json", "--seeds", "0,1", "--margin", "fid=3"], "--margin has no part in --store"),
        (["--store", "mine", "--seeds", "0,1"], "ends in .json"),
        (["--store", "mine.json", "--seeds", "0"], "two seeds at least"),
        (["--store", "mine.json", "--gated", "fid,pnsr_true"], "unknown metric 'pnsr_true'; did you mean 'psnr_true'?"),
        (["--store", "mine.json", "--suite", "tabel1"], "did you mean 'table1'?"),
    ],
)
def test_a_wrong_call_is_one_line(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], call: list[str], words: str
) -> None:
    asked = [item.format(stored=stored) for item in call]
    assert regress.main([*asked, "--out", str(tmp_path), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_damaged_references_are_one_line(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = stored.read_text()
    for damage, words in (
        (text[:-100], "cannot be read as JSON"),
        (text.replace('"schema": 1', '"schema": 7'), "has schema 7"),
        (text.replace('"commit"', '"comit"'), "'commit' is missing"),
        (text.replace('"threads": 1', '"threads": 0'), "threads must be at least 1"),
        (json.dumps({**json.loads(text), "gated": ["fdi"]}), "gated has unknown metric 'fdi'; did you mean 'fid'?"),
        (json.dumps({**json.loads(text), "weights": {"d-t": "../a"}}), "'../a', which is no name of a file"),
        ('{"rows": []}', "is the results of a run"),
    ):
        (tmp_path / "a.json").write_text(damage)
        assert regress.main(["--against", str(tmp_path / "a.json"), "--out", str(tmp_path)]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def test_missing_weights_are_one_line(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text(stored.read_text())
    call = ["--against", str(tmp_path / "a.json"), "--out", str(tmp_path), "--always", "--jobs", "1", "--quiet"]
    assert regress.main(call) == 2
    assert "names weights that are not there" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------ from pytest
def test_the_fixture_of_the_plugin(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gate_in(tmp_path)(stored).verdict == "pass"
    monkeypatch.setitem(PSNR_TRUE.__dict__, "compare", lambda a, b: np.full(len(a), 9.0))
    result = gate_in(tmp_path)(stored.with_suffix(""), always=True, jobs="1")
    assert (result.verdict, result.levels[-1].level) == ("regressed", "scores")


# ------------------------------------------------------------------------------------------------ finished results
def test_finished_results_are_compared_by_statistics_alone(
    stored: Path, suite: list[str], tmp_path: Path, features: None
) -> None:
    run_call = [*suite, "--seeds", "7,8", "--out", str(tmp_path / "runs"), "--jobs", "1", "--threads", "1", "--quiet"]
    assert run.main(run_call) == 0
    status, actual = gate(stored, tmp_path, "--results", str(tmp_path / "runs"))
    assert (status, verdicts(actual)) == (0, {"statistics": "pass"}), actual["checks"]
    notes = {check["quantity"]: check["note"] for check in actual["checks"]}
    assert notes["fid"].startswith("3 stored seeds, 2 new")
    assert notes["ca"].startswith("3 stored seeds, 1 new")  # under one judge
    (path,) = (tmp_path / "runs").glob("reports/*/results.json")
    results = json.loads(path.read_text())
    for seed in results["rows"][0]["seeds"].values():
        seed["metrics"]["psnr_true"] -= 900
    (tmp_path / "worse.json").write_text(json.dumps(results))
    status, actual = gate(stored, tmp_path, "--results", str(tmp_path / "worse.json"))
    assert status == 3  # by the order of two and three seeds nothing can be told
    assert [c["quantity"] for c in actual["checks"] if c["verdict"] == "inconclusive"] == ["psnr_true"]
    status, actual = gate(stored, tmp_path, "--results", str(tmp_path / "worse.json"), "--assume-normal")
    assert status == 1
    assert [c["quantity"] for c in actual["checks"] if c["verdict"] == "regressed"] == ["psnr_true"]
    (tmp_path / "other.json").write_text(json.dumps({**results, "profile": "quick"}))
    status, actual = gate(stored, tmp_path, "--results", str(tmp_path / "other.json"))
    assert (status, actual["levels"][0]["words"]) == (4, "the profile is quick, and tiny is stored")


# ------------------------------------------------------------------------------------------------ probes alone
def test_probes_alone_pass_and_fail_without_a_run_of_the_suite(
    suite: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.gate.storing.probe_elsewhere", lambda *_: [])
    path = tmp_path / "probes.json"
    call = ["--store", str(path), *suite, "--probes-only", "--seeds", "0", "--out", str(tmp_path), "--jobs", "1"]
    assert regress.main([*call, "--quiet"]) == 0
    assert not load_reference(path).runs
    status, found = gate(path, tmp_path, "--always")
    assert (status, verdicts(found)) == (0, {"keys": "pass", "losses": "pass", "scores": "pass"})
    assert "the probes alone decide" in found["notes"][0]
    assert not (tmp_path / "gate" / "judge").exists()
    edit = Dummy.edit
    monkeypatch.setattr(Dummy, "edit", lambda self, sources, target: edit(self, sources, target).flip(1))
    status, found = gate(path, tmp_path / "other", "--always")
    assert (status, verdicts(found)["scores"]) == (1, "regressed")


def test_stored_seeds_outlive_a_store_of_probes_while_their_keys_are_the_same(
    stored: Path, suite: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmark.gate.storing.probe_elsewhere", lambda *_: [])
    path = tmp_path / "kept.json"
    shutil.copytree(stored.with_suffix(""), path.with_suffix(""))
    before = {**json.loads(stored.read_text()), "code": "0" * 64}
    path.write_text(json.dumps(before))
    call = ["--store", str(path), *suite, "--probes-only", "--out", str(tmp_path), "--jobs", "1"]
    train = Suite.train
    monkeypatch.setattr(Suite, "train", lambda *_: pytest.fail("trained for no reason"))
    assert regress.main(call) == 0
    after = json.loads(path.read_text())
    for name in ("runs", "weights", "gated", "scores", "losses"):
        assert after[name] == before[name], name
    assert after["code"] != before["code"]
    assert gate(path, tmp_path)[0] == 0
    monkeypatch.setitem(SSIM.__dict__, "version", 99)
    assert regress.main(call) == 0
    measured = load_reference(path)
    assert set(measured.runs) == {0, 1, 2}
    assert not measured.values("d-t", "ssim")
    assert len(measured.values("d-t", "fid")) == 3
    assert not [name for name in measured.runs[0].contents if name.startswith("score ")]
    monkeypatch.setattr(Suite, "train", train)
    monkeypatch.setattr(synthesize.Synthesize, "version", 99)
    assert regress.main(call) == 0
    assert not load_reference(path).runs
    assert "seed 0 is dropped, since 'synthesize" in capsys.readouterr().err
