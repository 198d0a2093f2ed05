"""Published checkpoints: a round trip through their own layouts, and what is said of files that do not fit."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from baselines.ganimation import GANimation, GANimationSettings
from baselines.ganimation.networks import published_names as ganimation_names
from baselines.hisd import HiSD, HiSDSettings
from baselines.hisd.published_names import published_names as hisd_names
from baselines.stargan import StarGAN, StarGANSettings
from baselines.stargan import published_names as stargan_names
from benchmark import import_checkpoint
from benchmark.importing.recognise import other_implementation
from benchmark.interface import Faces, Method, Shape, Target
from benchmark.stages.checkpoints import load_checkpoint, open_checkpoint
from benchmark.training.registry import METHODS, find_method
from models.mtss import MTSS, MTSSSettings
from models.mtss.generator import published_names as mtss_names
from tests import published_files as published
from tests.one_thread import one_thread  # noqa: F401 (fixture)
from tests.parity.vectors import TOLERANCE, Vectors, shapes, weights

SIZE = 32
WIDTH = 0.0625


@dataclass(frozen=True)
class Case:
    """A method of ours with known weights, `edits` of which are what its averaged networks make."""

    name: str
    method: Method
    files: list[Path]
    guides: tuple[str, ...]


def shuffled(network: nn.Module, seed: int) -> None:
    """Other weights than the initial ones, biases and norms included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.7).add_(0.05 * torch.randn(parameter.shape, generator=generator))


def make(name: str, folder: Path, **settings: Any) -> Case:
    torch.manual_seed(1)
    if name == "stargan":
        stargan = StarGAN(StarGANSettings(width=WIDTH, residual_blocks=2, **settings), Shape(SIZE))
        shuffled(stargan, 1)
        return Case(name, stargan, published.save_stargan(stargan, stargan_names, folder), ("T",))
    if name == "ganimation":
        ganimation = GANimation(GANimationSettings(width=WIDTH, residual_blocks=3, **settings), Shape(SIZE))
        shuffled(ganimation, 2)
        return Case(name, ganimation, published.save_ganimation(ganimation, ganimation_names, folder), ("R",))
    cls, names, kind = (MTSS, mtss_names, MTSSSettings) if name == "mtss" else (HiSD, hisd_names, HiSDSettings)
    method = cls(kind(width=WIDTH, translator_blocks=2, latent_dim=8, **settings), Shape(SIZE))  # type: ignore[operator]
    shuffled(method, 3)
    raw = copy.deepcopy(method)
    shuffled(method.generator, 4)
    files = published.save_hisd(raw, method.generator, names, folder, unused=name == "mtss")  # type: ignore[arg-type]
    return Case(name, method, files, ("T", "R"))


NAMES = ("stargan", "ganimation", "hisd", "mtss")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    return {name: make(name, tmp_path_factory.mktemp(name)) for name in NAMES}


@torch.no_grad()
def edits(method: Method, guide: str) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    sources, references = torch.rand(2, 3, 3, SIZE, SIZE, generator=generator) * 2 - 1
    units = torch.rand(3, 17, generator=generator) * 5
    by_reference = guide == "R"
    target = Target(
        "R" if by_reference else "T",
        torch.tensor([0, 4, 7]),
        [1, 2, 3],
        references if by_reference else None,
        units if by_reference else None,
    )
    return method.eval().edit(Faces.of(sources, units=units), target)


def call(name: str, files: list[Path], out: Path, *more: str) -> int:
    command = ["--method", name, "--from", *map(str, files), "--out", str(out), *more]
    try:
        return import_checkpoint.main(command)
    except SystemExit as stop:
        return int(stop.code or 0)


def refused(capsys: pytest.CaptureFixture[str], name: str, files: list[Path], out: Path, *more: str) -> list[str]:
    """The lines on stderr of a call that fails, writes nothing and prints nothing."""
    before = sorted(out.parent.iterdir()) if out.parent.exists() else None
    assert call(name, files, out, *more) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (sorted(out.parent.iterdir()) if out.parent.exists() else None) == before
    lines = captured.err.splitlines()
    assert lines[-1].startswith("error: ")
    assert not [line for line in lines[:-1] if line.startswith(("error", "Traceback", "note"))]
    return lines


# ------------------------------------------------------------------------------------------------ there and back
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("whole", [True, False])
def test_edits_are_those_of_the_published_file(cases: dict[str, Case], name: str, whole: bool, tmp_path: Path) -> None:
    case = cases[name]
    assert call(name, case.files if whole else case.files[:1], tmp_path / "out", "--size", str(SIZE)) == 0
    loaded = load_checkpoint(tmp_path / "out", "cpu")
    for guide in case.guides:
        assert torch.equal(edits(loaded, guide), edits(case.method, guide)), guide
    actual = open_checkpoint(tmp_path / "out")
    assert actual.settings == case.method.settings
    assert actual.absent == (() if whole else ("discriminator",))
    if whole:
        ours = case.method.get_submodule("discriminator").state_dict()
        theirs = loaded.get_submodule("discriminator").state_dict()
        assert all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items())


def test_the_average_edits_and_the_raw_weights_are_kept(cases: dict[str, Case], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    case = cases["hisd"]
    assert call("hisd", case.files, tmp_path / "out") == 0
    stored = load_file(tmp_path / "out" / "weights.safetensors")
    theirs = torch.load(case.files[0], weights_only=True)
    name = "encoder.blocks.0.conv1.weight"
    assert torch.equal(stored[f"model.generator.{name}"], theirs["gen"]["encoder.1.conv1.weight"])
    assert torch.equal(stored[f"average.generator.{name}"], theirs["gen_test"]["encoder.1.conv1.weight"])
    assert not torch.equal(stored[f"model.generator.{name}"], stored[f"average.generator.{name}"])


def test_what_is_not_known_is_not_invented(cases: dict[str, Case], tmp_path: Path) -> None:
    case = cases["mtss"]
    assert call("mtss", case.files, tmp_path / "out") == 0
    text = json.loads((tmp_path / "out" / "checkpoint.json").read_text())
    assert text["imported"] is True
    assert text["iterations"] is text["images_seen"] is text["seed"] is text["subset"] is None
    assert text["origin"]["code"] == "lumanxi236/MTSS"
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in case.files]
    assert [(file["name"], file["sha256"]) for file in text["origin"]["files"]] == [
        (path.name, digest) for path, digest in zip(case.files, digests, strict=True)
    ]
    assert text["changed_settings"] == {"width": WIDTH, "translator_blocks": 2, "latent_dim": 8}
    assert set(text["parameters"]) == {"generator", "discriminator"}


def test_the_published_generator_gives_the_published_output(tmp_path: Path) -> None:
    """At full width: weights drawn by their published names, through a file, held to the published code's numbers."""
    torch.save(weights("stargan_generator"), tmp_path / "200000-G.ckpt")
    assert call("stargan", [tmp_path / "200000-G.ckpt"], tmp_path / "out") == 0
    method, vectors = load_checkpoint(tmp_path / "out", "cpu"), Vectors("stargan_generator")
    assert method.settings == StarGANSettings()
    assert method.shape == Shape(128)
    with torch.no_grad():
        output = method.edit(Faces.of(vectors.image), Target("T", vectors["in_label"], [0, 0]))
    assert vectors.error("y", output) < TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_the_files_made_here_have_the_published_names_and_shapes(name: str) -> None:
    names = {"stargan": stargan_names, "ganimation": ganimation_names, "hisd": hisd_names, "mtss": mtss_names}[name]
    with torch.device("meta"):
        cls = find_method(name)
        method = cls(cls.Settings(), Shape(128))
        for part in ("generator", "discriminator"):
            result = published.state_dict(getattr(method, part), names(getattr(method, part)))  # type: ignore[operator]
            if (name, part) == ("mtss", "generator"):
                result = published.with_unused(result)
            actual = {key: tuple(value.shape) for key, value in result.items() if not key.endswith(published.BUFFERS)}
            assert actual == shapes(f"{name}_{part}")


# ------------------------------------------------------------------------------------------------ wrappers
def wrapped(case: Case, change: Callable[[Any], Any], path: Path) -> list[Path]:
    torch.save(change(torch.load(case.files[0], weights_only=True)), path)
    return [path]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("stargan", lambda state: {"state_dict": state, "epoch": 3, "opt": {"state": {}, "param_groups": []}}, ""),
        ("stargan", lambda state: {"model": {"state_dict": published.parallel(state)}}, "'module.'"),
        ("hisd", lambda both: {key: published.parallel(entry) for key, entry in both.items()}, "'module.'"),
        ("hisd", lambda both: {"state_dict": both}, ""),
        ("hisd", lambda both: {f"{key}.{n}": t for key, entry in both.items() for n, t in entry.items()}, ""),
        ("hisd", lambda both: {f"module.{k}.{n}": t for k, each in both.items() for n, t in each.items()}, "'module.'"),
        ("hisd", lambda both: {"gen_test": both["gen_test"]}, "no 'gen'"),
        ("mtss", lambda both: both["gen_test"], "no 'gen_test'"),
        ("mtss", lambda both: {"gen_test": {n: nn.Parameter(t) if t.is_floating_point() else t
                                            for n, t in both["gen_test"].items()}}, "no 'gen'"),
    ],
)  # fmt: skip
def test_wrappers_that_circulate(
    cases: dict[str, Case], name: str, change: Callable[[Any], Any], message: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    case = cases[name]
    files = wrapped(case, change, tmp_path / "other.pt")
    assert call(name, files, tmp_path / "out", "--size", str(SIZE)) == 0
    assert message in capsys.readouterr().err
    assert torch.equal(edits(load_checkpoint(tmp_path / "out", "cpu"), "T"), edits(case.method, "T"))


def test_safetensors(cases: dict[str, Case], tmp_path: Path) -> None:
    case = cases["mtss"]
    both = torch.load(case.files[0], weights_only=True)
    save_file({f"{key}.{n}": t for key, entry in both.items() for n, t in entry.items()}, tmp_path / "m.safetensors")
    assert call("mtss", [tmp_path / "m.safetensors"], tmp_path / "out", "--size", str(SIZE)) == 0
    assert torch.equal(edits(load_checkpoint(tmp_path / "out", "cpu"), "R"), edits(case.method, "R"))


def test_half_precision_is_reported(cases: dict[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = wrapped(cases["stargan"], lambda state: {n: t.half() for n, t in state.items()}, tmp_path / "h-G.ckpt")
    assert call("stargan", files, tmp_path / "out", "--size", str(SIZE)) == 0
    assert "float16 become float32" in capsys.readouterr().err


def test_what_cannot_be_seen_is_reported(
    cases: dict[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("stargan", cases["stargan"].files[:1], tmp_path / "a") == 0
    captured = capsys.readouterr()
    assert "pictures of 128 px: the files do not tell" in captured.err
    assert "alphabetical order" in captured.err
    assert "no discriminator" in captured.err
    assert "pictures of 128 px" in captured.out
    assert "width 0.0625" in captured.out
    assert call("stargan", cases["stargan"].files, tmp_path / "b") == 0
    assert f"pictures of {SIZE} px, as the discriminator's last layer tells" in capsys.readouterr().err
    assert open_checkpoint(tmp_path / "b").shape.size == SIZE
    assert call("ganimation", cases["ganimation"].files, tmp_path / "c") == 0
    assert "OpenFace's 17" in capsys.readouterr().err
    assert call("mtss", cases["mtss"].files, tmp_path / "d", "--size", "64", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["shape"]["size"] == 64
    outer, inner = cases["mtss"].method.get_submodule("generator.sdu.restore").weight.shape[:2]  # type: ignore[union-attr]
    numbers = outer * inner + 2 * outer * outer + 2 * 4 * outer + 2
    assert f"({numbers:,} numbers) that no output depends on" in captured.err


# ------------------------------------------------------------------------------------------------ what does not fit
def test_every_name_is_listed(cases: dict[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(state: OrderedDict[str, Tensor]) -> OrderedDict[str, Tensor]:
        state = OrderedDict(state)
        del state["main.1.weight"], state["main.3.weight"]
        state["head.weight"], state["main.99.bias"] = torch.zeros(2), torch.zeros(3, 4)
        state["main.4.weight"] = torch.zeros(5)
        return state

    files = wrapped(cases["stargan"], change, tmp_path / "x-G.ckpt")
    lines = refused(capsys, "stargan", files, tmp_path / "out")
    assert lines == [
        "missing (2):",
        "  main.1.weight",
        "  main.3.weight",
        "unexpected (2):",
        "  head.weight (2,)",
        "  main.99.bias (3, 4)",
        "of the wrong shape (1):",
        "  main.4.weight (5,) in the file, (8,) in the network",
        "error: x-G.ckpt does not fit stargan: names: 2 missing, 2 unexpected, 1 of the wrong shape",
    ]


def test_a_name_that_one_copy_lacks_is_listed_with_it(
    cases: dict[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(both: dict[str, Any]) -> dict[str, Any]:
        del both["gen_test"]["encoder.0.bias"]
        for entry in both.values():
            del entry["decoder.2.bias"]
        return both

    lines = refused(capsys, "hisd", wrapped(cases["hisd"], change, tmp_path / "g.pt"), tmp_path / "out")
    assert lines[:3] == ["missing (2):", "  decoder.2.bias", "  encoder.0.bias  [g.pt, 'gen_test']"]


def stargan_of(classes: int, size: int, folder: Path) -> list[Path]:
    method = StarGAN(StarGANSettings(width=WIDTH), Shape(size, classes))
    return published.save_stargan(method, stargan_names, folder)


def hisd_of(tags: list[int], folder: Path) -> list[Path]:
    """celeba-hq.yaml: tags of some attributes each; all but translators, mappers and the extractor's head is shared."""
    method = HiSD(HiSDSettings(width=WIDTH, translator_blocks=2), Shape(SIZE, max(tags)))
    one = published.state_dict(method.generator, hisd_names(method.generator))
    head = max(int(name.split(".")[2]) for name in one if name.startswith("extractors."))
    state = OrderedDict()
    for name, tensor in one.items():
        if name.startswith(f"extractors.model.{head}."):
            state[name] = torch.cat([tensor] * len(tags))
        for tag, attributes in enumerate(tags):
            renamed = name.replace("translators.0.", f"translators.{tag}.").replace("mappers.0.", f"mappers.{tag}.")
            parts = name.split(".")
            if parts[2:3] == ["post_models"] and int(parts[3]) >= attributes:
                continue
            state.setdefault(renamed, tensor)
    torch.save({"gen_test": state}, folder / "checkpoint_128_celeba-hq.pt")
    return [folder / "checkpoint_128_celeba-hq.pt"]


def test_other_label_counts_are_refused_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = stargan_of(5, 64, tmp_path)
    for inputs in (files, files[:1]):
        lines = refused(capsys, "stargan", inputs, tmp_path / "out")
        assert "was trained on 5 labels, and the protocol has 8, RaFD's expressions" in lines[-1]
        assert any(line.startswith("  main.0.weight (4, 8, 7, 7) in the file, (4, 11, 7, 7)") for line in lines)
    (tmp_path / "g").mkdir()
    ganimation = GANimation(GANimationSettings(width=WIDTH), Shape(SIZE, units=12))
    files = published.save_ganimation(ganimation, ganimation_names, tmp_path / "g")
    assert "12 action units, and the protocol has 17" in refused(capsys, "ganimation", files, tmp_path / "out")[-1]


def test_hisd_of_several_tags_is_refused_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = refused(capsys, "hisd", hisd_of([2, 2, 3], tmp_path), tmp_path / "out")
    assert "has 3 tags (mappers.0 to mappers.2) of 2, 2, 3 attributes" in lines[-1]
    assert any(line.startswith("  mappers.1.post_models.0.0.linear.weight") for line in lines)
    assert any(line.startswith("  mappers.0.post_models.7.2.bias") for line in lines)
    assert "was trained on 2 labels" in refused(capsys, "hisd", hisd_of([2], tmp_path), tmp_path / "out")[-1]


def test_the_256_px_extractor_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = {name: torch.zeros(shape) for name, shape in shapes("hisd_generator").items() if "extractors" not in name}
    channels = [32, 64, 128, 256, 512, 512, 512]
    state["extractors.model.0.weight"], state["extractors.model.0.bias"] = torch.zeros(32, 3, 1, 1), torch.zeros(32)
    for block, (before, after) in enumerate(itertools.pairwise(channels), 1):
        state[f"extractors.model.{block}.conv1.weight"] = torch.zeros(1).expand(before, before, 3, 3)
        state[f"extractors.model.{block}.conv2.weight"] = torch.zeros(1).expand(after, before, 3, 3)
    torch.save({"gen_test": state}, tmp_path / "gen.pt")
    error = refused(capsys, "hisd", [tmp_path / "gen.pt"], tmp_path / "out")[-1]
    assert "an extractor of 32, 64, 128, 256, 512, 512, 512 channels" in error
    assert "celeba-hq_256.yaml" in error


@pytest.mark.parametrize(("named", "real"), [("hisd", "mtss"), ("mtss", "hisd"), ("stargan", "ganimation")])
def test_another_method_s_file_is_recognised(
    cases: dict[str, Case], named: str, real: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(capsys, named, cases[real].files[:1], tmp_path / "out")[-1]
    assert error.endswith(f"these are the names of '{real}': --method {real}")


def test_a_discriminator_that_does_not_fit_can_be_left_out(
    cases: dict[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = StarGAN(StarGANSettings(width=2 * WIDTH), Shape(SIZE))
    published.save_stargan(other, stargan_names, tmp_path)
    files = [cases["stargan"].files[0], tmp_path / "200000-D.ckpt"]
    assert refused(capsys, "stargan", files, tmp_path / "out")[-1].endswith(
        "edits do without the discriminator: leave 200000-D.ckpt out"
    )


def test_sizes_that_contradict_the_files(
    cases: dict[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert "made for pictures of 32 px" in refused(capsys, "stargan", cases["stargan"].files, out, "--size", "64")[-1]
    assert "at least 32 px" in refused(capsys, "mtss", cases["mtss"].files, out, "--size", "16")[-1]
    assert "multiple of 4" in refused(capsys, "stargan", cases["stargan"].files[:1], out, "--size", "30")[-1]
    assert "--size must be at least 1" in refused(capsys, "mtss", cases["mtss"].files, out, "--size", "0")[-1]


def test_values_that_no_network_has(cases: dict[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def put(value: Tensor) -> list[Path]:
        return wrapped(cases["stargan"], lambda state: {**state, "main.1.weight": value}, tmp_path / "v-G.ckpt")

    for value, message in (
        (torch.full((4,), float("nan")), "'main.1.weight' holds numbers that are not finite"),
        (torch.ones(4, dtype=torch.int64), "'main.1.weight' is not a plain tensor of floating-point numbers"),
        (torch.ones(1).expand(4), "'main.1.weight' has fewer numbers than its shape"),
    ):
        (line,) = refused(capsys, "stargan", put(value), tmp_path / "out")
        assert message in line


def test_which_files_are_needed(cases: dict[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case, out = cases["mtss"], tmp_path / "out"
    (line,) = refused(capsys, "mtss", case.files[1:], out)
    assert "dis_00200000.pt is the discriminator alone" in line
    (line,) = refused(capsys, "mtss", [case.files[0], case.files[0]], out)
    assert "both hold the generator of mtss" in line
    (line,) = refused(capsys, "mts", case.files, out)
    assert "did you mean 'mtss'?" in line
    out.mkdir()
    (out / "mine").touch()
    (line,) = refused(capsys, "mtss", case.files, out)
    assert "exists and is not an empty folder" in line
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_a_method_without_published_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = refused(capsys, "tests.dummy:Dummy", [tmp_path / "x"], tmp_path / "out")
    assert "no code of 'tests.dummy:Dummy' was published" in line
    assert "stargan, ganimation, hisd, mtss" in line


@pytest.mark.parametrize("name", METHODS)
def test_every_map_covers_its_networks(name: str) -> None:
    cls = find_method(name)
    layout = cls.published_checkpoint()
    if layout is None:
        return
    with torch.device("meta"):
        method = cls(replace(cls.Settings()), Shape(SIZE))
    assert [network.attribute for network in layout.networks] == [key for key, _ in method.named_children()]
    for network in layout.networks:
        module = getattr(method, network.attribute)
        mapped = {ours.partition("[")[0] for ours in network.names(module).values()}
        assert mapped == {key for key, _ in module.named_parameters()}
        assert not list(module.buffers())


# ------------------------------------------------------------------------------------------------ files
class Runs:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_a_file_with_code_is_refused_and_not_run(
    cases: dict[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "ran"
    state = torch.load(cases["stargan"].files[0], weights_only=True)
    for zipped in (True, False):
        path = tmp_path / f"{zipped}-G.ckpt"
        torch.save({"state_dict": state, "config": Runs(mark)}, path, _use_new_zipfile_serialization=zipped)
        (line,) = refused(capsys, "stargan", [path], tmp_path / "out")
        assert "needs more than weights" in line
        assert "mkdir" in line
        assert not mark.exists()
        torch.load(path, weights_only=False)  # what must not be done
        assert mark.exists()
        mark.rmdir()
    (tmp_path / "bare.pkl").write_bytes(pickle.dumps(Runs(mark)))
    refused(capsys, "stargan", [tmp_path / "bare.pkl"], tmp_path / "out")
    assert not mark.exists()


def test_a_whole_pickled_network_is_refused(
    cases: dict[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(cases["stargan"].method, tmp_path / "model.pth")
    (line,) = refused(capsys, "stargan", [tmp_path / "model.pth"], tmp_path / "out")
    assert "needs more than weights" in line


@pytest.mark.parametrize("name", ["stargan", "ganimation", "hisd"])
def test_files_cut_off_anywhere_are_one_line(
    cases: dict[str, Case], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = cases[name].files[0].read_bytes()
    path = tmp_path / "cut.pt"
    for length in (1, 9, 100, 1000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        (line,) = refused(capsys, name, [path], tmp_path / "out")
        assert "cut.pt" in line


def test_other_files_are_one_line(cases: dict[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contents: dict[str, tuple[bytes, str]] = {
        "empty.pt": (b"", "is empty"),
        "page.pt": (b"<!DOCTYPE html><html>quota exceeded</html>", "is a web page"),
        "pointer.pt": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
        "text.pt": (b"hello " * 100, "damaged or no checkpoint"),
        "zeros.pt": (bytes(5000), "damaged or no checkpoint"),
        "pickle.pt": (pickle.dumps({"a": 1}, protocol=4), "torch cannot read it (Unsupported operand"),
        "half.safetensors": ((1000).to_bytes(8, "little") + b'{"a": ', "damaged, or no safetensors file"),
    }
    for name, (content, message) in contents.items():
        (tmp_path / name).write_bytes(content)
        (line,) = refused(capsys, "stargan", [tmp_path / name], tmp_path / "out")
        assert message in line
    for path in (tmp_path / "nowhere.pt", tmp_path):
        (line,) = refused(capsys, "stargan", [path], tmp_path / "out")
        assert "cannot be read" in line
    for value, message in (
        ([torch.zeros(2)], "holds no named tensors (list)"),
        ({"a": 1}, "holds no named tensors"),
        ({"state": {0: {"step": torch.zeros(1)}}, "param_groups": []}, "state of optimisers"),
        ({"gen": {"state": {0: {"step": torch.zeros(1)}}, "param_groups": []}}, "state of optimisers"),
    ):
        torch.save(value, tmp_path / "value.pt")
        (line,) = refused(capsys, "stargan", [tmp_path / "value.pt"], tmp_path / "out")
        assert message in line


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to(path)]
)
def test_only_regular_files_are_read(
    make: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "special.pt")
    (line,) = refused(capsys, "stargan", [tmp_path / "special.pt"], tmp_path / "out")
    assert "special.pt cannot be read (" in line


def test_files_beyond_reason_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmark.importing.read.LARGEST", 1 << 20)
    with (tmp_path / "large.pt").open("wb") as stream:
        stream.truncate((1 << 20) + 1)
    (line,) = refused(capsys, "stargan", [tmp_path / "large.pt"], tmp_path / "out")
    assert "it has 1.0 MB, and at most 1 MB are read" in line
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10 << 20))
    assert (tmp_path / "bomb.pt").stat().st_size < 1 << 20
    (line,) = refused(capsys, "stargan", [tmp_path / "bomb.pt"], tmp_path / "out")
    assert "GB when it is unpacked" in line
    torch.save({"main.0.weight": torch.zeros(3), "n" * 10**5: torch.zeros(1)}, tmp_path / "names.pt")
    lines = refused(capsys, "stargan", [tmp_path / "names.pt"], tmp_path / "out")
    assert max(map(len, lines)) < 500
    torch.save({f"main.{10**9}.main.0.weight": torch.zeros(1)}, tmp_path / "deep.pt")
    assert "deep.pt" in refused(capsys, "stargan", [tmp_path / "deep.pt"], tmp_path / "out")[-1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(600), "is an HDF5 file, as Keras and TensorFlow write them"),
        ("model.ckpt-9.data-00000-of-00001", bytes(600), "is a checkpoint of TensorFlow"),
        ("model.onnx", b"\x08\x07" + bytes(600), "is an ONNX model"),
        ("weights.tar.gz", b"\x1f\x8b\x08" + bytes(600), "is a gzip archive: unpack it"),
        ("weights.pt", b"\x89PNG\r\n\x1a\n" + bytes(600), "is a picture"),
    ],
)
def test_files_of_other_programs_are_named(
    name: str, content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    (line,) = refused(capsys, "stargan", [tmp_path / name], tmp_path / "out")
    assert (
        line == f"error: {tmp_path / name} {message}: only what torch.save or safetensors has written can be imported"
    )


def test_archives_of_other_programs_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "arrays.npz", weight=np.zeros(3))
    for name, entry, message in (
        ("program.pt", "program/constants.pkl", "is a TorchScript program, which would run"),
        ("pictures.zip", "a.png", "is a zip archive: unpack it"),
        ("arrays.npz", "", "is an archive of NumPy arrays"),
    ):
        if entry:
            with zipfile.ZipFile(tmp_path / name, "w") as archive:
                archive.writestr(entry, b"")
        (line,) = refused(capsys, "stargan", [tmp_path / name], tmp_path / "out")
        assert message in line


@pytest.mark.parametrize(
    ("method", "contents", "message"),
    [
        (
            "stargan",
            {
                "generator": {"module.from_rgb.weight": 3, "module.decode.0.norm1.fc.weight": 3},
                "mapping_network": {"module.shared.0.weight": 2, "module.unshared.0.0.weight": 2},
            },
            "StarGAN v2 (clovaai/stargan-v2)",
        ),
        ("stargan", {"model.1.weight": 4, "model.10.conv_block.1.weight": 4}, "eriklindernoren/PyTorch-GAN"),
        ("stargan", {"bottle_neck.0.res_block.0.conv_block.0.weight": 4}, "eveningglow/StarGAN-pytorch"),
        ("ganimation", {"model.1.weight": 4, "color_top.0.weight": 4}, "donydchen/ganimation_replicate"),
        ("ganimation", {"main.0.weight": 4, "im_reg.0.weight": 4, "debug1.0.weight": 4}, "vipermu/ganimation"),
    ],
)
def test_other_implementations_are_named_in_one_line(
    method: str, contents: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def filled(value: Any) -> Any:
        return {key: filled(item) for key, item in value.items()} if isinstance(value, dict) else torch.zeros(value)

    torch.save(filled(contents), tmp_path / "other.pt")
    (line,) = refused(capsys, method, [tmp_path / "other.pt"], tmp_path / "out")
    assert message in line.partition("not of ")[0]
    assert line.endswith("give them to benchmark.score")


@pytest.mark.parametrize("name", NAMES)
def test_no_published_checkpoint_is_taken_for_another(name: str) -> None:
    assert other_implementation(shapes(f"{name}_generator")) == ""
    assert other_implementation(shapes(f"{name}_discriminator")) == ""


def test_a_file_of_another_network_lists_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(nn.Linear(2, 3).state_dict(), tmp_path / "linear.pt")
    lines = refused(capsys, "stargan", [tmp_path / "linear.pt"], tmp_path / "out")
    assert {"unexpected (2):", "  weight (3, 2)", "  bias (3,)"} <= set(lines)
    assert f"missing ({len(shapes('stargan_generator'))}):" in lines
    assert lines[-1].endswith("it is of other code, whose edits benchmark.score takes")


def test_a_pickled_network_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(nn.Linear(2, 3), tmp_path / "whole.pt")
    (line,) = refused(capsys, "stargan", [tmp_path / "whole.pt"], tmp_path / "out")
    assert "('torch.nn.modules.linear.Linear')" in line


def test_names_cannot_steer_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"\x1b[2J\nmain": torch.zeros(3)}, tmp_path / "names.pt")
    lines = refused(capsys, "stargan", [tmp_path / "names.pt"], tmp_path / "out")
    assert r"  \x1b[2J\nmain (3,)" in lines


@pytest.mark.parametrize("method", ["stargan", "ganimation"])
def test_fewer_planes_than_an_image_has(method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"main.0.weight": torch.zeros(64, 2, 7, 7)}, tmp_path / "narrow.pt")
    lines = refused(capsys, method, [tmp_path / "narrow.pt"], tmp_path / "out")
    assert any(line.startswith("  main.0.weight (64, 2, 7, 7) in the file") for line in lines)


def test_a_network_too_large_to_be_is_one_line(
    cases: dict[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = refused(capsys, "stargan", cases["stargan"].files[:1], tmp_path / "out", "--size", "4000000000")
    assert "no network of stargan can be that large (pictures of 4000000000 px" in line
    # A view of one number, which takes no room in a file.
    torch.save({"main.0.weight": torch.zeros(1).expand(10**10, 11, 7, 7)}, tmp_path / "wide.pt")
    (line,) = refused(capsys, "stargan", [tmp_path / "wide.pt"], tmp_path / "out")
    assert "wide.pt: no network of stargan can be that large" in line


def test_a_disk_that_fails_leaves_nothing(
    cases: dict[str, Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("benchmark.importing.write.write_text", full)
    (line,) = refused(capsys, "stargan", cases["stargan"].files[:1], tmp_path / "out")
    assert "No space left on device" in line
    assert list(tmp_path.iterdir()) == []
