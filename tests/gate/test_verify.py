"""A finished run made again: identical, different and by how much, taken over, or made by other code."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark import run, verify
from benchmark.core.artifacts import MANIFEST, File, Manifest
from benchmark.core.hashes import sha256_of
from benchmark.metrics.psnr import PSNR_TRUE
from benchmark.stages.score import Score
from tests.block_features import blocks_as_features
from tests.dummy import Dummy
from tests.pipeline.test_pipeline import configure, report_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, make_faces: Callable[..., Path]) -> Iterator[Path]:
    """The store of a run whose manifests have the command that made it."""
    out = tmp_path_factory.mktemp("made")
    call = [*configure(tmp_path_factory.mktemp("config")), "--data", f"rendered:{make_faces(identities=5)}"]
    call += ["--out", str(out), "--jobs", "1"]
    with blocks_as_features(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.stages.reader.find_identity_weights", lambda: None)
        patch.setattr("sys.argv", ["benchmark/run.py", *call])
        assert run.main(call) == 0
        yield out


def verified(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = verify.main([str(path), "--json", "--quiet", "--jobs", "1", *options])
    return status, json.loads(capsys.readouterr().out)


def test_a_report_made_again_is_identical(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = verified(report_of(made), capsys)
    assert (status, found["verdict"]) == (0, "pass")
    assert {stage["outcome"] for stage in found["stages"]} == {"identical"}
    assert {stage["kind"] for stage in found["stages"]} >= {"faces", "train", "judge", "features", "synth", "scores"}
    assert len(found["numbers"]) > 10
    assert all(number["then"] == number["now"] for number in found["numbers"])
    assert found["environment"] == []
    assert found["contradictions"] == []
    assert {number["row"] for number in found["numbers"]} == {"d-t", "d-r", "source F", "truth F"}


def test_one_stage_is_made_again_with_what_it_is_made_from(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (train,) = (made / "train").iterdir()
    status, found = verified(train, capsys)
    assert status == 0
    assert [(stage["kind"], stage["outcome"]) for stage in found["stages"]] == [
        ("faces", "identical"),
        ("train", "identical"),
    ]


def test_quick_trains_nothing(made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a training")

    monkeypatch.setattr(Dummy, "training_step", never)
    monkeypatch.setattr("benchmark.stages.judge.train_judge", never)
    status, found = verified(report_of(made), capsys, "--quick")
    assert status == 0
    outcomes = {stage["kind"]: stage["outcome"] for stage in found["stages"]}
    assert outcomes["train"] == outcomes["judge"] == "taken over"
    assert outcomes["scores"] == outcomes["synth"] == "identical"


def with_results(made: Path, folder: Path, change: Callable[[dict[str, Any]], None], mended: bool = True) -> Path:
    """The report in a copy of its store, with other results; mended: with their hash in the manifest."""
    report = report_of(shutil.copytree(made, folder / "store"))
    content = json.loads((report / "results.json").read_text())
    change(content)
    (report / "results.json").write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    if mended:
        manifest = Manifest.read(report / MANIFEST)
        file = File((report / "results.json").stat().st_size, sha256_of(report / "results.json"))
        mended_manifest = dataclasses.replace(manifest, files={**manifest.files, "results.json": file})
        (report / MANIFEST).write_text(mended_manifest.dump())
    return report


def a_little_better(results: dict[str, Any]) -> None:
    results["rows"][0]["seeds"]["0"]["metrics"]["psnr_true"] *= 1 + 1e-5


def narrower(results: dict[str, Any]) -> None:
    results["rows"][0]["summary"]["psnr_true"]["identities"][0] += 1.0


def better_judge(results: dict[str, Any]) -> None:
    results["judges"]["F"]["0"]["accuracy"] = 100.0


def never_failed(results: dict[str, Any]) -> None:
    results["rows"][1]["label"] = "Dummy (R), at its best"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (narrower, "rows d-t, summary, psnr_true, identities 1 is "),
        (better_judge, "judges, F, 0, accuracy is 100.0, made again it is "),
        (never_failed, "rows d-r, label is 'Dummy (R), at its best', made again it is 'Dummy (R)'"),
    ],
)
def test_what_results_say_beside_their_numbers_is_made_again(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[..., None], words: str
) -> None:
    status, found = verified(with_results(made, tmp_path, change), capsys, "--quick")
    assert status == 1
    assert {number["then"] == number["now"] for number in found["numbers"]} == {True}
    assert [phrase for phrase in found["contradictions"] if phrase.startswith(words)], found["contradictions"]


def test_a_number_changed_by_a_thousandth_of_a_percent_is_another_number(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = with_results(made, tmp_path, a_little_better)
    status, found = verified(report, capsys, "--quick")
    assert status == 1
    (off,) = [number for number in found["numbers"] if number["then"] != number["now"]]
    assert (off["row"], off["metric"], off["bound"]) == ("d-t", "psnr_true", 0.0)
    # Elsewhere it is within what processors differ by, but intervals and means do not follow from it.
    monkeypatch.setattr("benchmark.core.environment.processor_name", lambda: "another")
    measured = object.__getattribute__(PSNR_TRUE, "compare")
    monkeypatch.setitem(PSNR_TRUE.__dict__, "compare", lambda a, b: measured(a, b) * 1.00001)
    status, found = verified(report, capsys, "--quick")
    assert status == 1
    assert found["contradictions"][0].startswith("rows d-t, summary, psnr_true, mean is ")
    assert "from its own numbers follows" in found["contradictions"][0]


@pytest.mark.parametrize("name", ["results.json", "per-edit.parquet", "weights.safetensors"])
def test_a_file_that_its_manifest_does_not_name_so_is_damaged(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    if name == "results.json":
        report = with_results(made, tmp_path, a_little_better, mended=False)
    else:
        report = report_of(shutil.copytree(made, tmp_path / "store"))
        path = sorted(report.parents[1].glob(f"*/*/{name}"))[0]
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert verify.main([str(report), "--quick", "--quiet", "--jobs", "1"]) == 2
    error = capsys.readouterr().err
    assert f"{name} is not what its manifest says" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("edits", [True, False])
def test_quick_trains_no_judge_where_there_is_none(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, edits: bool
) -> None:
    """As beside stored results: what judge and reader read is left out. No edits lead from scores to weights there."""
    report = report_of(shutil.copytree(made, tmp_path / "store"))
    for kind in ("judge", "reader", *([] if edits else ["synth"])):
        shutil.rmtree(report.parents[1] / kind)

    def never(*_: object) -> None:
        raise AssertionError("a training")

    monkeypatch.setattr(Dummy, "training_step", never)
    monkeypatch.setattr("benchmark.stages.judge.train_judge", never)
    monkeypatch.setattr("benchmark.stages.reader.train_reader", never)
    status, found = verified(report, capsys, "--quick")
    assert status == 0, found
    assert found["notes"] == ["what judge and reader read is left out: there are others here"]
    metrics = {number["metric"] for number in found["numbers"]}
    assert metrics >= {"fid", "psnr_true"}
    assert not metrics & {"ca", "gain"}
    assert found["contradictions"] == []
    outcomes = {stage["kind"]: stage["outcome"] for stage in found["stages"]}
    assert (outcomes["synth"], outcomes["scores"]) == ("identical" if edits else "not compared", "not compared")
    (score,) = (report.parents[1] / "scores").glob("*-seed-0-t-*")
    status, found = verified(score, capsys, "--quick")
    assert (status, {number["row"] for number in found["numbers"]}) == (0, {"d-t"})


def test_other_edits_are_named_first_and_by_how_much(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = Dummy.edit
    monkeypatch.setattr(Dummy, "edit", lambda self, sources, target: edit(self, sources, target) + 2 / 255)
    status, found = verified(report_of(made), capsys, "--quick")
    assert status == 1
    first = next(stage for stage in found["stages"] if stage["outcome"] == "different")
    assert first["kind"] == "synth"
    assert "edited.npy: off by 1 at most" in first["words"]
    assert any(number["then"] != number["now"] for number in found["numbers"])


def test_a_run_elsewhere_is_judged_by_its_numbers(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another processor bytes may differ; numbers of the same weights by a thousandth."""
    monkeypatch.setattr("benchmark.core.environment.processor_name", lambda: "another")
    measured = object.__getattribute__(PSNR_TRUE, "compare")
    monkeypatch.setitem(PSNR_TRUE.__dict__, "compare", lambda a, b: measured(a, b) * 1.0005)
    status, found = verified(report_of(made), capsys, "--quick")
    assert status == 0
    assert [phrase for phrase in found["environment"] if phrase.startswith("processor")]
    monkeypatch.setitem(PSNR_TRUE.__dict__, "compare", lambda a, b: measured(a, b) * 1.002)
    status, found = verified(report_of(made), capsys, "--quick")
    assert status == 1
    # Trained again, with one seed and nothing stored of this suite, no spread is known: another metric is told by the
    # rows that no training changes.
    status, found = verified(report_of(made), capsys)
    assert status == 1
    off = [each for each in found["numbers"] if each["metric"] == "psnr_true" and each["then"] != each["now"]]
    assert {each["row"]: each["bound"] is None for each in off} == {"d-t": True, "d-r": True, "source F": False}
    monkeypatch.setitem(PSNR_TRUE.__dict__, "compare", lambda a, b: measured(a, b) * 1.0005)
    status, found = verified(report_of(made), capsys)
    assert status == 3


def test_other_code_is_not_comparable_with_the_reason(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Score, "version", 99)
    assert verify.main([str(report_of(made)), "--quiet"]) == 4
    (score, *_) = (made / "scores").iterdir()
    assert verify.main([str(score), "--quiet"]) == 4
    error = capsys.readouterr().err
    assert "no plan of this code makes" in error
    assert "was made by version" in error
    assert "which has 99" in error


def test_results_of_somebody_else_with_their_weights(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path / "results.json"
    content = json.loads((report_of(made) / "results.json").read_text())
    command = shlex.split(json.loads((report_of(made) / "manifest.json").read_text())["made"]["command"])
    names = {"suite": command[command.index("--suite") + 1], "profile": command[command.index("--profile") + 1]}
    data = command[command.index("--data") + 1]
    theirs.write_text(json.dumps({**content, **names}))
    (train,) = (made / "train").iterdir()
    weights = shutil.copytree(train, tmp_path / "weights")
    given = ["--checkpoint", f"tests.dummy:Dummy={weights}", "--data", data]
    status, found = verified(theirs, capsys, *given)
    assert status == 0, found
    assert found["notes"] == ["what judge and reader read is left out: there are others here"]
    assert {number["metric"] for number in found["numbers"]} >= {"fid", "psnr_true"}
    content["rows"][0]["seeds"]["0"]["metrics"]["psnr_true"] += 1
    theirs.write_text(json.dumps({**content, **names}))
    status, found = verified(theirs, capsys, *given)
    assert status == 1
    assert [n["metric"] for n in found["numbers"] if n["then"] != pytest.approx(n["now"], 1e-3)] == ["psnr_true"]


@pytest.mark.parametrize(("name", "words"), [("", "is no run"), ("nothing", "is no run"), ("a.json", "cannot be read")])
def test_a_wrong_call_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, words: str) -> None:
    (tmp_path / "a.json").write_text("{")
    assert verify.main([str(tmp_path / name), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert words in error or "JSON" in error


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--jobs", "0"), "--jobs must be"),
        (("--data", "renderd"), "did you mean 'rendered'"),
        (("--out", "FILE"), "--out"),
        (("--checkpoint", "nothing"), "--checkpoint"),
        (("--checkpoint", "hisd=nowhere"), "unknown method or row 'hisd'"),
    ],
)
def test_a_wrong_option_is_a_wrong_call_and_not_incomparable(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, str], words: str
) -> None:
    (tmp_path / "FILE").write_text("")
    name, value = options
    call = [str(report_of(made)), "--quiet", name, str(tmp_path / value) if name == "--out" else value]
    assert verify.main(call) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert words in error


def test_a_manifest_that_is_a_pipe_is_damaged(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not results without a manifest, whose suite would be trained again."""
    report = shutil.copytree(report_of(made), tmp_path / "reports" / "report")
    (report / "manifest.json").unlink()
    os.mkfifo(report / "manifest.json")
    assert verify.main([str(report), "--quiet"]) == 2
    assert "is damaged" in capsys.readouterr().err


def test_a_damaged_weight_is_no_basis(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = shutil.copytree(made, tmp_path / "store")
    (train,) = (store / "train").iterdir()
    np.save(train / "weights.safetensors", np.zeros(3))
    (train / "weights.safetensors").write_bytes(b"0" * (train / "weights.safetensors").stat().st_size)
    assert verify.main([str(report_of(store)), "--quick", "--quiet"]) == 2
    assert "nothing rests on it" in capsys.readouterr().err
