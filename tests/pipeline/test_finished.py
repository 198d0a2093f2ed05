"""A finished suite: answered from what is remembered, if it is certain to be the plan's answer."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from benchmark import run
from benchmark.config.profiles import load_profile
from benchmark.config.suites import load_suite
from benchmark.core.artifacts import Manifest, Store
from benchmark.core.hashes import Stamps, sha256_of
from benchmark.data.registry import open_source
from benchmark.pipeline import request
from benchmark.pipeline.finished import FinishedSuite
from benchmark.pipeline.request import PlanRequest, device_at_a_glance
from benchmark.stages.features import ExtractorChoice
from benchmark.training.device import choose_device
from tests.pipeline.test_pipeline import ROOT, configure, report_of

HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "pandas",
    "pyarrow",
    "mlflow",
    "matplotlib",
    "skimage",
    "scipy",
    "lightning_fabric",
}


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory, make_faces: Callable[..., Path]) -> list[str]:
    """One of this repository's methods in its smallest size."""
    folder = tmp_path_factory.mktemp("config")
    arguments = configure(folder)
    row = {"id": "s-t", "label": "StarGAN (T)", "method": "stargan", "guide": "T", "data": "F"}
    (folder / "dummies.yaml").write_text(yaml.safe_dump({"title": "One", "rows": [row]}))
    profile = yaml.safe_load((folder / "tiny.yaml").read_text())
    profile |= {"width": 0.125, "iterations": {"default": 1}, "overrides": {}}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(profile))
    return [*arguments, "--data", f"rendered:{make_faces(identities=5)}", "--device", "cpu"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, arguments: list[str]) -> Path:
    out = tmp_path_factory.mktemp("done")
    assert run.main([*arguments, "--out", str(out)]) == 0
    return out


def copied(done: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done, tmp_path / "out"))


def test_a_second_call_imports_nothing_heavy_and_says_the_same(done: Path, arguments: list[str]) -> None:
    code = (
        "import sys; from benchmark import run\n"
        "status = run.main(sys.argv[1:])\n"
        f"heavy = {HEAVY!r} & set(sys.modules)\n"
        "sys.exit(f'imports {heavy}' if heavy else status)"
    )
    for form in ([], ["--json"]):
        call = [sys.executable, "-c", code, *arguments, "--out", str(done), *form]
        answer = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
        assert answer.returncode == 0, answer.stderr
        assert answer.stderr == ""
        assert answer.stdout
    assert answer.stdout == (report_of(done) / "results.json").read_text(encoding="utf-8")


def test_what_is_remembered_is_the_plans_own_answer(done: Path) -> None:
    (path,) = (done / "cache" / "finished").iterdir()
    folder, key = path.read_text().splitlines()
    assert done / folder == report_of(done)
    manifests = {Manifest.read(path).key: path.parent for path in done.glob("*/*/manifest.json")}
    assert manifests[key] == report_of(done)
    assert {key: done / folder for key, folder in Store(done).lineage(key, folder).items()} == manifests


def test_damage_is_found_without_the_plan_and_mended_by_it(
    done: Path, arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = copied(done, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("benchmark.pipeline.plan.Plan.__init__", None)
        assert run.main([*arguments, "--out", str(out)]) == 0
    weights = next((out / "train").glob("*/weights.safetensors"))
    before, content = weights.stat(), weights.read_bytes()
    weights.write_bytes(content[:-1] + b"!")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    capfd.readouterr()
    assert run.main([*arguments, "--out", str(out)]) == 0
    (line,) = capfd.readouterr().err.splitlines()
    assert "was damaged (weights.safetensors is not what its manifest says): set aside as" in line
    assert weights.read_bytes() == content


def test_a_report_that_is_gone_is_made_again(done: Path, arguments: list[str], tmp_path: Path) -> None:
    out = copied(done, tmp_path)
    shutil.rmtree(report_of(out))
    assert run.main([*arguments, "--out", str(out)]) == 0
    assert (report_of(out) / "results.json").read_bytes() == (report_of(done) / "results.json").read_bytes()


@pytest.mark.parametrize("text", ["", "x", "reports/x\nk", "..\nk", "\n\n", "\0\nk", "x" * 5000 + "\nk"])
def test_a_damaged_memory_is_ignored(done: Path, arguments: list[str], tmp_path: Path, text: str) -> None:
    out = copied(done, tmp_path)
    (path,) = (out / "cache" / "finished").iterdir()
    path.write_text(text)
    assert run.main([*arguments, "--out", str(out)]) == 0


def test_every_part_of_the_request_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite, profile = load_suite("table1"), load_profile("quick")
    source = open_source("rendered", tmp_path / "cache")
    extractor = ExtractorChoice("efficientnet-lite0", "0" * 64, True)
    asked = {
        "suite": suite,
        "profile": profile,
        "source": source,
        "seeds": (0,),
        "extractor": extractor,
        "device": "cpu",
    }
    store = Store(tmp_path)

    def answered(**change: object) -> bool:
        return FinishedSuite(store, PlanRequest(**{**asked, **change})).report() is not None  # type: ignore[arg-type]

    folder = tmp_path / "reports" / "r"
    folder.mkdir(parents=True)
    manifest = Manifest("k", "reports", "r", {}, {}, 1, {}, {}, 0, {})
    (folder / "manifest.json").write_text(manifest.dump())
    assert not answered()
    FinishedSuite(store, PlanRequest(**asked)).remember("k", "reports/r")  # type: ignore[arg-type]
    assert answered()
    other = open_source("rendered", tmp_path / "cache")
    other.version = 2  # type: ignore[misc]
    row = dataclasses.replace(suite.rows[0], variant={"learning_rate": 1.0})
    for change in (
        {"suite": suite.only(["mtss"])},
        {"suite": dataclasses.replace(suite, rows=(row, *suite.rows[1:]))},
        {"profile": dataclasses.replace(profile, judge_epochs=profile.judge_epochs + 1)},
        {"profile": dataclasses.replace(profile, overrides={})},
        {"source": other},
        {"seeds": (0, 1)},
        {"extractor": dataclasses.replace(extractor, identity="1" * 64)},
        {"device": "cuda"},
    ):
        assert not answered(**change), change
    monkeypatch.setattr(request, "code_of_project", lambda: "changed")
    assert not answered()


def test_the_code_is_all_that_a_key_may_depend_on() -> None:
    files = {str(path.relative_to(ROOT)) for path in request._files(ROOT)}
    assert {"benchmark/pipeline/plan.py", "baselines/stargan.py", "results/paper/table1.yaml"} <= files
    assert {"benchmark/data/splits/rendered.yaml", "models/mtss/__init__.py"} <= files
    assert not [name for name in files if name.startswith("results/reference/")]  # it is in the request by itself


def test_the_same_code_in_another_folder_is_the_same_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines of a cluster may keep it where they like, and one of them has used its stored results before."""
    here = request.code_of_project()
    for package in request.PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.npz", "*.png", "*.parquet", "*.safetensors")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    cache = tmp_path / "results" / "reference" / "cache"
    cache.mkdir(parents=True)
    (cache / "content-hashes.json").write_text("{}")
    monkeypatch.setattr("benchmark.__file__", str(tmp_path / "benchmark" / "__init__.py"))
    assert request.code_of_project() == here
    with (tmp_path / "models" / "__init__.py").open("a") as file:
        file.write("changed = True\n")
    assert request.code_of_project() != here


def test_an_edited_method_from_elsewhere_is_another_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_method.py").write_text("import my_helper\n")
    (tmp_path / "my_helper.py").write_text("LEVEL = 1\n")
    suite = load_suite("table1")
    foreign = dataclasses.replace(suite, rows=(dataclasses.replace(suite.rows[0], method="my_method:Method"),))
    source = open_source("rendered", tmp_path / "cache")
    extractor = ExtractorChoice("efficientnet-lite0", "0" * 64, True)
    asked = PlanRequest(foreign, load_profile("quick"), source, (0,), extractor, "cpu")
    before = asked.key
    (tmp_path / "my_helper.py").write_text("LEVEL = 1  # a comment\n")
    assert asked.key == before
    (tmp_path / "my_helper.py").write_text("LEVEL = 2\n")
    assert asked.key != before


def test_the_device_at_a_glance_is_the_one_that_torch_finds() -> None:
    assert device_at_a_glance("cpu") == "cpu"
    assert device_at_a_glance("cuda") is None
    assert device_at_a_glance("auto") in (choose_device("auto"), None)


def test_a_hash_is_remembered_until_anything_of_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    monkeypatch.setattr("benchmark.core.hashes.SETTLED", -1)
    stamps = Stamps(tmp_path / "cache" / "stamps.json")
    digest = stamps.trusted(path)
    assert digest == sha256_of(path)
    stamps.save()
    monkeypatch.setattr("benchmark.core.hashes.sha256_of", lambda path: "computed")
    again = Stamps(tmp_path / "cache" / "stamps.json")
    assert again.trusted(path) == digest
    assert again.hashed(path) == "computed"
    status = path.stat()
    for change in (
        lambda: path.write_bytes(b"another"),
        lambda: os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns)),
        lambda: path.write_bytes(b"longer than it was"),
    ):
        change()
        assert Stamps(tmp_path / "cache" / "stamps.json").trusted(path) == "computed"


def test_a_file_that_has_just_changed_is_hashed_again(tmp_path: Path) -> None:
    """Two changes within a tick of the clock have one time."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    stamps = Stamps(tmp_path / "stamps.json")
    stamps.trusted(path)
    stamps.save()
    assert not (tmp_path / "stamps.json").exists()
