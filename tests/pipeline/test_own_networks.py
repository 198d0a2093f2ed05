"""Networks of one's own as columns of a suite: measured beside the scores, printed everywhere, named by their hash."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from mlflow import MlflowClient
from PIL import Image
from scipy import stats

from benchmark import compare, edits, run, score
from benchmark.config.networks import OwnNetwork
from benchmark.config.profiles import load_profile
from benchmark.config.suites import load_suite
from benchmark.data.registry import open_source
from benchmark.metrics.crop import crop, tight_box
from benchmark.metrics.frechet import frechet_distance
from benchmark.metrics.kid import kernel_distance
from benchmark.pipeline.plan import Plan
from benchmark.pipeline.request import PlanRequest
from benchmark.report.claims_figure import read_pairs
from benchmark.report.results import load_results
from benchmark.stages.features import ExtractorChoice
from benchmark.stages.network_choice import NetworkChoice
from benchmark.stages.score import PER_EDIT
from tests.block_features import blocks_as_features
from tests.metrics.test_own_network import Means
from tests.pipeline.conftest import House, describe, save
from tests.pipeline.test_pipeline import times
from tests.pipeline.test_verdicts_of_a_run import by_person
from tests.statistics.by_hand import holm, sign_flip


def blocks(images: np.ndarray) -> np.ndarray:
    """What `Means` gives, of pictures that no resize changes."""
    unit = (images / 255 - 0.5) / np.array([0.5, 0.25, 0.5])
    side = images.shape[1] // 4
    return unit.reshape(len(images), side, 4, side, 4, 3).mean((2, 4)).transpose(0, 3, 1, 2).reshape(len(images), -1)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.sum(a * b, 1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


def test_nothing_else_is_made_or_measured_again(house: House) -> None:
    now = times(house.out)
    kinds = {path: path.relative_to(house.out).parts[0] for path in now}
    logged = {".locks", "mlflow.db", "mlflow-files"}
    assert all(now[path] == time for path, time in house.before.items() if kinds[path] not in logged)
    added = {kinds[path] for path in now.keys() - house.before.keys()}
    assert added - logged == {"network-features", "network-scores", "reports"}


def test_every_other_number_is_the_same(house: House) -> None:
    results = load_results(house.report / "results.json")
    assert results.metrics[: len(house.plain.metrics)] == house.plain.metrics
    assert [metric.key for metric in results.metrics[len(house.plain.metrics) :]] == [
        house.key("similarity", "faces"), house.key("fd", "means"), house.key("kd", "means"),
        house.key("similarity", "means"),
    ]  # fmt: skip
    for mine, other in zip(results.all_rows, house.plain.all_rows, strict=True):
        for seed, scores in other.seeds.items():
            assert scores.metrics.items() <= mine.seeds[seed].metrics.items()


def test_numbers_are_those_computed_by_hand(house: House) -> None:
    results, faces = load_results(house.report / "results.json"), house.faces
    test = faces.rows("F", "test")
    real = blocks(faces.images[test])
    for row, guide in zip(results.rows[:2], "tr", strict=True):
        (synth,) = (house.out / "synth").glob(f"synthesize-tests-dummy-*-seed-0-{guide}-*")
        edited, table = np.load(synth / "edited.npy"), pd.read_parquet(synth / "edits.parquet")
        features, sources = blocks(edited), blocks(faces.images[table["source"]])
        scores = row.seeds[0]
        distance = frechet_distance(features, real)
        assert scores.metrics[house.key("fd", "means")] == pytest.approx(distance, rel=1e-4)
        kernel = 1000 * kernel_distance(features, real)
        assert scores.metrics[house.key("kd", "means")] == pytest.approx(kernel, rel=1e-3, abs=1e-3)
        key = house.key("similarity", "means")
        by_edit = cosine(features, sources)
        assert scores.metrics[key] == pytest.approx(by_edit.mean(), rel=1e-4)
        people = faces.table["identity"].iloc[table["source"]].to_numpy()
        assert scores.by_identity[key] == pytest.approx(
            {name: by_edit[people == name].mean() for name in np.unique(people)}, rel=1e-3, abs=1e-6
        )
        assert set(scores.by_identity[house.key("fd", "means")]) == set(people)
        (folder,) = (path for path in scored(house, "means") if f"-0-{guide}-" in path.name)
        np.testing.assert_allclose(pd.read_parquet(folder / PER_EDIT)[key], by_edit, rtol=1e-4)


def scored(house: House, name: str) -> list[Path]:
    prefix = f"network-{house.networks[name][:8]}-of-"
    return [path for path in (house.out / "network-scores").iterdir() if path.name.startswith(prefix)]


def test_faces_are_cut_out_by_the_sources_landmarks(house: House) -> None:
    """The true picture's own similarity stands beside: that of two pictures of one person, cut alike."""
    results, faces = load_results(house.report / "results.json"), house.faces
    source, truth = results.corners
    for name in ("means", "faces"):
        assert source.mean(house.key("similarity", name)) == pytest.approx(1)
    (corner,) = (house.out / "corner").glob("corner-truth-*")
    table = pd.read_parquet(corner / "edits.parquet")
    boxes = tight_box(faces.landmarks[table["source"]], faces.size)
    features = []
    for side in ("source", "truth"):
        cut = torch.from_numpy(crop(np.asarray(faces.images[table[side]]), boxes, faces.size)).permute(0, 3, 1, 2)
        small = torch.nn.functional.interpolate(cut.float(), size=16, mode="bicubic", antialias=True)
        features.append(blocks(small.clamp(0, 255).permute(0, 2, 3, 1).numpy()))
    expected = cosine(*features).mean()
    assert expected < 0.999
    assert truth.mean(house.key("similarity", "faces")) == pytest.approx(expected, rel=1e-4)


def test_it_is_in_every_output(house: House) -> None:
    results = load_results(house.report / "results.json")
    labels = {metric.key: metric for metric in results.metrics}
    distance, similarity = labels[house.key("fd", "means")], labels[house.key("similarity", "faces")]
    digits = {name: digest[:8] for name, digest in house.networks.items()}
    assert distance.label == f"FD[arcface@{digits['means']}]"
    assert similarity.label == f"Similarity[means@{digits['faces']}]"
    assert house.networks["means"] in distance.definition
    assert "tight face boxes at 16 px, bicubic, rgb, mean 0.5 0.5 0.5, std 0.5 0.25 0.5" in similarity.definition
    assert results.columns == (distance.key, "psnr_true")
    row = results.rows[0]
    text = {path.name: path.read_text() for path in house.report.iterdir() if path.suffix in (".md", ".csv", ".tex")}
    for name in ("table.md", "extended.md", "report.md", "table.tex", "extended.tex"):
        assert f"{row.mean(distance.key):.4f}" in text[name], name
        assert (f"{row.mean(similarity.key):.4f}" in text[name]) == (not name.startswith("table")), name
    line = next(csv.DictReader(io.StringIO(text["extended.csv"])))
    assert float(line[similarity.label]) == row.mean(similarity.key)
    assert f"{similarity.label}_identities_low" in line
    page = (house.report / "report.html").read_text()
    assert similarity.label in page
    assert house.networks["faces"] in page
    client = MlflowClient(f"sqlite:///{house.out / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("fesbench")
    assert experiment is not None
    logged = [entry.data.metrics for entry in client.search_runs([experiment.experiment_id])]
    for key in (distance.key, similarity.key):
        assert any(metrics.get(key) == pytest.approx(row.mean(key)) for metrics in logged)
        assert any(f"{row.id}/{key}/mean" in metrics for metrics in logged)


def test_rows_are_compared_in_it(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    key = house.key("similarity", "means")
    assert compare.main(["d-t", "d-r", "--results", str(house.report), "--metric", key, "--json"]) == 0
    (compared,) = json.loads(capfd.readouterr().out)["comparisons"]
    first, second, _ = load_results(house.report / "results.json").rows
    assert compared["difference"] == pytest.approx((first.mean(key) or 0) - (second.mean(key) or 0))


def changed(house: House, tmp_path: Path, old: str, new: Path) -> list[str]:
    """The call with another file for a network."""
    return [str(new) if word.endswith(old) else word for word in house.call]


def planned(call: list[str], out: Path, capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capfd.readouterr()
    status = run.main([*call, "--out", str(out), "--dry-run"])
    captured = capfd.readouterr()
    return status, captured.out, captured.err


def test_another_content_is_another_column_and_another_place_is_not(
    house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    suite = house.suite.with_name("plain.yaml")
    suite.write_text(yaml.safe_dump({**yaml.safe_load(house.suite.read_text()), "columns": ["psnr_true"]}))

    def states(network: Path) -> dict[str, str]:
        call = changed(house, tmp_path, "arcface.pt", network)
        call[call.index("--suite") + 1] = str(suite)
        status, out, err = planned(call, house.out, capfd)
        assert status == 0, err
        return {line: line for line in out.splitlines() if "network" in line}

    moved = describe(Path(shutil.copy(house.out.parent / "arcface.pt", tmp_path / "moved.pt")))
    assert all("there" in line for line in states(moved))
    other = describe(moved.with_name("other.pt"), mean=[0.4, 0.5, 0.5])
    shutil.copy(moved, other)
    lines = states(other)
    assert sum("to do" in line for line in lines) == 5, lines  # of sources, two rows, two corners
    wider = save(tmp_path / "wider.pt", torch.nn.Sequential(torch.nn.AvgPool2d(8)))
    lines = states(wider)
    digest = hashlib.sha256(wider.read_bytes()).hexdigest()[:8]
    assert sum("to do" in line and digest in line for line in lines) == 5, lines


def test_a_wrong_file_is_one_line_before_any_work(
    house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = describe(tmp_path / "broken.pt")
    broken.write_bytes(b"nothing")
    alone = save(tmp_path / "alone.pt", Means())
    alone.with_suffix(".yaml").unlink()
    twin = describe(Path(shutil.copy(house.out.parent / "means.onnx", tmp_path / "twin.onnx")), side=24)
    again = save(tmp_path / "again.pt", Means())
    describe(again, measures=["distance", "distance"])
    for file, words in (
        (tmp_path / "none.pt", f"network {tmp_path}/none.pt is missing"),
        (tmp_path / "net.pth", "net.pth: a TorchScript or ONNX file is needed (.pt, .ts, .onnx)"),
        (broken, "broken.pt is no TorchScript file"),
        (alone, "alone.yaml beside it"),
        (twin, "twin.onnx are one network with two descriptions"),
        (again, "measures hold 'distance' twice"),
    ):
        status, out, err = planned(changed(house, tmp_path, "arcface.pt", file), tmp_path / "runs", capfd)
        assert (status, out, err.count("\n")) == (2, "", 1), err
        assert words in err
    assert not list((tmp_path / "runs").glob("[!c]*"))


def test_stored_scores_are_not_mixed_with_edits_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Edits that a network needs are trained for again, so all numbers of their row are of them; other keys stay."""
    source, extractor = open_source("rendered", tmp_path), ExtractorChoice("efficientnet-lite0", "0" * 64, False)
    network = NetworkChoice(tmp_path / "net.pt", "ab" * 32, OwnNetwork("net", 64, [0.5] * 3, [0.5] * 3))
    plans = []
    for networks, taken in (((), True), ((network,), False)):
        request = PlanRequest(load_suite("smoke"), load_profile("smoke"), source, (0,), extractor, "cpu")
        plan = Plan(dataclasses.replace(request, networks=networks))
        score = next(score for entry in plan.rows for score in entry.scores.values())
        with monkeypatch.context() as patch:
            patch.setattr(plan, "_has", lambda _stage: False)
            patch.setattr(plan._stored, "has", lambda stage, score=score: stage is score)
            assert plan.is_taken(score) is taken
        plans.append({stage.recipe.key: stage.kind for stage in plan.stages})
    plain, measured = plans
    assert {plain[key] for key in plain.keys() - measured.keys()} == {"reports"}
    assert {measured[key] for key in measured.keys() - plain.keys()} == {
        "reports", "network-features", "network-scores",
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- claims, submissions
@pytest.fixture(scope="module")
def copied(house: House, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the house, to add to."""
    return Path(shutil.copytree(house.out, tmp_path_factory.mktemp("copy") / "runs", symlinks=True))


def test_claims_in_it_are_decided_by_its_numbers(house: House, copied: Path, tmp_path: Path) -> None:
    """A suite of one's own, a file of claims that names columns of a network, and the verdicts computed by hand."""
    fd, kd, similarity = (house.key(kind, "means") for kind in ("fd", "kd", "similarity"))
    claims = [
        {
            "id": name, "suite": "claimed", "words": "It is so.", "place": "Sec. 4",
            "parts": [{"row": "d-t", "over": "d-r", "metric": metric, "direction": direction, "margin": margin}],
        }
        for name, metric, direction, margin in (
            ("looks-alike", similarity, "higher", 0.0), ("nearer", fd, "lower", "1%"),
            ("elsewhere", "similarity_00000000", "higher", 0.0), ("truer", "psnr_true", "higher", 0.0),
        )
    ]  # fmt: skip
    (tmp_path / "ours.yaml").write_text(yaml.safe_dump({"title": "Claims", "source": "A paper", "claims": claims}))
    named = yaml.safe_load(house.suite.read_text()) | {"claims": str(tmp_path / "ours.yaml")}
    (tmp_path / "claimed.yaml").write_text(yaml.safe_dump(named))
    call = [str(tmp_path / "claimed.yaml") if word == str(house.suite) else word for word in house.call]
    before = times(copied)
    with blocks_as_features():
        assert run.main([*call, "--out", str(copied)]) == 0
    added = {path.relative_to(copied).parts[0] for path in times(copied).keys() - before.keys()}
    assert added - {".locks", "mlflow.db", "mlflow-files"} == {"reports"}
    (report,) = (copied / "reports").glob("claimed-*")
    results = load_results(report / "results.json")
    alike, nearer, elsewhere, truer = results.verdicts
    assert (elsewhere.outcome, elsewhere.why) == ("not testable here", "row d-t has no similarity_00000000")
    by_edit, people = {}, {}
    for guide in "tr":
        (folder,) = (path for path in scored(house, "means") if f"-0-{guide}-" in path.name)
        by_edit[guide] = pd.read_parquet(folder / PER_EDIT)
        people[guide] = by_edit[guide].groupby("identity")[similarity].mean()
    ahead = (people["t"] - people["r"]).to_numpy()
    (evidence,) = alike.evidence
    assert (evidence.value - evidence.other, evidence.identities) == (pytest.approx(ahead.mean()), 7)
    interval = stats.t.interval(0.95, 6, ahead.mean(), stats.sem(ahead))
    assert (evidence.low, evidence.high) == pytest.approx(interval)
    shown, deciding = nearer.evidence
    assert [(each.metric, each.decides) for each in nearer.evidence] == [(fd, False), (kd, True)]
    first, second = (row.seeds[0] for row in results.rows[:2])
    assert shown.value - shown.other == pytest.approx((first.metrics[fd] or 0) - (second.metrics[fd] or 0))
    without = np.array([first.by_identity[kd][name] - second.by_identity[kd][name] for name in people["t"].index])
    behind = (second.metrics[kd] or 0) - (first.metrics[kd] or 0)
    error = np.sqrt(6 / 7 * np.sum((without - without.mean()) ** 2))
    p_kernel = stats.t.sf(behind / error, 6)
    assert deciding.p == pytest.approx(p_kernel)
    true = [by_person(copied, row, "psnr_true")[0] for row in ("d-t", "d-r")]
    p_values = holm([sign_flip(ahead, "greater"), p_kernel, sign_flip(true[0] - true[1], "greater")])
    assert [each.p_reproduced for each in (alike, nearer, truer)] == pytest.approx(p_values)
    pairs = read_pairs(report / "claims.png")
    assert sorted(pairs) == ["looks-alike", "truer"]  # the other is about distances, which no single edit has
    gap = (by_edit["t"][similarity] - by_edit["r"][similarity]) * np.sign(ahead.mean())
    (synth,) = (copied / "synth").glob("synthesize-tests-dummy-*-seed-0-t-*")
    assert np.array_equal(pairs["looks-alike"].edits[0], np.load(synth / "edited.npy")[gap.argmax()])
    text = (report / "report.md").read_text().replace("\\", "")
    assert f"Similarity[arcface@{house.networks['means'][:8]}] of d-t and d-r: " in text
    assert text.index("`nearer`") < text.index("`elsewhere`") < text.index("| Model")


def test_submissions_are_measured_in_it(
    house: House, copied: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Edits of a row of the suite, given as files, have its numbers to the bit, and stand beside it."""
    listing, pictures = tmp_path / "list", tmp_path / "twin"
    suite = yaml.safe_load(house.suite.read_text())
    known = {**suite, "rows": [row for row in suite["rows"] if row["method"] != "nobody"]}
    (tmp_path / house.suite.name).write_text(yaml.safe_dump(known))
    words = {str(house.suite): str(tmp_path / house.suite.name)}
    call = house.call[: house.call.index("--jobs")]
    options = [words.get(word, word) for word in call if word not in ("--threads", "1")]
    assert edits.main([*options, "--store", str(copied), "--out", str(listing), "--without-training"]) == 0
    pictures.mkdir()
    (synth,) = (copied / "synth").glob("synthesize-tests-dummy-*-seed-0-t-*")
    with (listing / "edits-f.csv").open(newline="") as stream:
        for row, image in zip(csv.DictReader(stream), np.load(synth / "edited.npy"), strict=True):
            Image.fromarray(image).save(pictures / row["file"])
    files = {name: str(house.out.parent / file) for name, file in (("means", "arcface.pt"), ("faces", "means.onnx"))}
    call = ["--edits", str(listing), "--results", str(pictures), "--name", "twin", "--store", str(copied), "--quiet"]
    call += ["--threads", "1", "--network", files["means"]]
    with blocks_as_features():
        capfd.readouterr()
        assert score.main([*call, "--network", files["faces"], "--json"]) == 0
        printed = capfd.readouterr().out
        (row,) = json.loads(printed)["rows"]
        own = load_results(house.report / "results.json").rows[0].seeds[0]
        assert row["scores"] == json.loads(json.dumps(dataclasses.asdict(own)))
        assert f"network {house.networks['means'][:8]}" in row["keys"]
        (tmp_path / "twin.json").write_text(printed)
        key = house.key("similarity", "faces")
        rows = [f"{tmp_path / 'twin.json'}:twin", f"{house.report}:d-t"]
        assert compare.main([*rows, "--metric", key, "--json"]) == 0
        assert json.loads(capfd.readouterr().out)["comparisons"][0]["difference"] == 0
        stranger = save(tmp_path / "stranger.pt", torch.nn.Sequential(torch.nn.AvgPool2d(16)))
        assert score.main([*call, "--network", str(stranger)]) == 0
    shown = " ".join(capfd.readouterr().out.split())
    assert "The suite was not run with this network (benchmark.run --network)." in shown
    digest = hashlib.sha256(stranger.read_bytes()).hexdigest()[:8]
    assert all(
        f"{file}@{name}" in shown for file, name in (("stranger", digest), ("arcface", house.networks["means"][:8]))
    )
    assert f"means@{house.networks['faces'][:8]}" not in shown  # the suite has it, the submission has not
