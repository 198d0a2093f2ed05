"""Every way in which a method can break its contract is one line that says what is wrong and what is right."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor
from torch.optim import Adam, Optimizer

from benchmark import run
from benchmark.core.errors import UserError
from benchmark.interface import Faces, FaceSource, Method, Progress, Shape, Target, Update
from benchmark.settings import chosen, make_settings
from benchmark.training.checkpoint import random_tensors
from benchmark.training.contract import check_behaviour, check_class
from benchmark.training.registry import METHODS, find_method
from tests.dummy import Dummy, DummySettings
from tests.pipeline.test_pipeline import configure


def lines(check: Callable[..., None], *arguments: Any) -> list[str]:
    """What a check says of a method called x."""
    try:
        check("x", *arguments)
    except UserError as error:
        message = str(error).split("\n")
        assert all(line.startswith("method 'x': ") for line in message)
        return [line.removeprefix("method 'x': ") for line in message]
    return []


def behaviour(cls: Any, settings: Any = None) -> list[str]:
    return lines(check_behaviour, cls, settings or DummySettings(), Shape(32), "cpu")


# ------------------------------------------------------------------------------------------------ the class
@dataclasses.dataclass(frozen=True)
class Undocumented:
    width: float = chosen(1.0, "a test")
    depth: int = 3
    seed: int = dataclasses.field(default=1, metadata={"origin": "found"})


@dataclasses.dataclass
class Changeable:
    width: float = chosen(1.0, "a test")


class NoDataclass:
    width = 1.0


class Unfinished(Method):
    Settings = DummySettings

    def edit(self, sources: Faces, target: Target) -> Tensor:
        return sources.images


@pytest.mark.parametrize(
    ("attributes", "messages"),
    [
        ({}, []),
        ({"Settings": NoDataclass}, ["must be a frozen dataclass: write @dataclass(frozen=True) above it"]),
        ({"Settings": DummySettings()}, ["must be a frozen dataclass"]),
        ({"Settings": Changeable}, ["Changeable can be changed: write @dataclass(frozen=True) above it"]),
        (
            {"Settings": Undocumented},
            ["setting depth of Undocumented does not say where its value is from: write depth: ... = published(value, "
             "source) or chosen(value, reason) (benchmark.settings)", "setting seed of Undocumented does not say"],
        ),
        ({"guides": {"T"}}, ["guides is {'T'}, and must be a frozenset of 'T' and 'R'"]),
        ({"guides": "T"}, ["guides is 'T', and must be a frozenset"]),
        ({"guides": frozenset()}, ["guides is frozenset(), and must be a frozenset"]),
        ({"guides": frozenset({"X"})}, ["guides is frozenset({'X'}), and must be a frozenset of 'T' and 'R'"]),
        ({"needs": frozenset({"aus"})}, ["needs is frozenset({'aus'}), and must be a frozenset of 'units' and 'landm"]),
        ({"source_needs": ["units"]}, ["source_needs is ['units'], and must be"]),
        ({"subsets": frozenset({"P"})}, ["subsets is frozenset({'P'}), and must be a frozenset of 'F' and 'F&P'"]),
        ({"reference": "photo"}, ["reference is 'photo', and must be 'image' or 'units'"]),
        ({"version": "1"}, ["version is '1', and must be a whole number of at least 1"]),
        ({"augmentation": True}, ["augmentation is True, and must be an Augmentation"]),
        ({"footnote": None}, ["footnote is None, and must be text"]),
        ({"guides": "T", "version": 0}, ["guides is", "version is 0"]),
    ],
)  # fmt: skip
def test_the_class(attributes: dict[str, object], messages: list[str]) -> None:
    actual = lines(check_class, type("Planted", (Dummy,), attributes))
    assert len(actual) == len(messages), actual
    assert all(expected in line for expected, line in zip(messages, actual, strict=True)), actual


def test_a_class_that_lacks_things() -> None:
    assert lines(check_class, Unfinished) == [
        "Unfinished does not define optimizers and training_step",
        'the class has no guides: say frozenset({"T"}), {"R"}, or both',
    ]
    bare = type("Bare", (Unfinished,), {"guides": frozenset({"T"}), "__abstractmethods__": frozenset()})
    assert lines(check_class, bare)[0].startswith("Bare does not define")


# ------------------------------------------------------------------------------------------------ what it does
def planted(**methods: Any) -> type[Dummy]:
    return type("Planted", (Dummy,), methods)


def edits(change: Callable[[Tensor], object]) -> type[Dummy]:
    return planted(edit=lambda self, sources, target: change(Dummy.edit(self, sources, target)))


def steps(change: Callable[[Tensor], object], name: str = "colours") -> type[Dummy]:
    """Whose training step returns something else; `update` is called with `name`."""

    def training_step(self: Dummy, faces: FaceSource, update: Update, progress: Progress) -> object:
        return change(Dummy.training_step(self, faces, lambda _, loss: update(name, loss), progress)["distance"])

    return planted(training_step=training_step)


def updates(change: Callable[[Tensor], object]) -> type[Dummy]:
    """Whose training step updates with something else."""

    def training_step(self: Dummy, faces: FaceSource, update: Any, progress: Progress) -> object:
        return Dummy.training_step(self, faces, lambda name, loss: update(name, change(loss)), progress)

    return planted(training_step=training_step)


def raises(self: object, *arguments: object) -> Any:
    raise ValueError("no\nfaces")


def in_place(self: Dummy, sources: Faces, target: Target) -> Tensor:
    return sources.images.mul_(0.5)


class Other(Dummy):
    def __init__(self, settings: DummySettings) -> None:
        super().__init__(settings, Shape(32))


class Forgetful(Dummy):
    def __init__(self, settings: DummySettings, shape: Shape) -> None:
        super().__init__(DummySettings(), shape)


class Foreign(Dummy):
    def optimizers(self) -> Mapping[str, Optimizer]:
        return {"colours": Adam([torch.zeros(3, requires_grad=True)])}


class Reads(Dummy):
    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        update("colours", self.colours.weight.sum() * faces.draw(2).units.mean())
        return {}


ADAM = Adam([torch.zeros(1, requires_grad=True)])
DICT = "training_step must return a dict of names to detached scalar tensors"


@pytest.mark.parametrize(
    ("method", "messages"),
    [
        (Dummy, []),
        (Other, ["its constructor takes (settings: 'DummySettings') -> 'None', and must take (settings, shape)"]),
        (Forgetful, ["its constructor must keep settings and shape: call super().__init__(settings, shape)"]),
        (planted(__init__=lambda self, settings, shape: None), ["its constructor must keep settings and shape"]),
        (planted(optimizers=lambda self: [ADAM]), ["optimizers() returns list '[Adam (", "must return a mapping"]),
        (planted(optimizers=lambda self: {}), ["optimizers() returns dict '{}', and must return a mapping"]),
        (planted(optimizers=lambda self: {"g": 1}), ["optimizers() has int '1' under 'g', and must have a torch opt"]),
        (planted(optimizers=raises), [f"optimizers raises ValueError: no faces (in {__file__}, line "]),
        (Foreign, ["optimizer 'colours' holds tensors that are not parameters of the method"]),
        (planted(averaged=lambda self: [self.mix]), ["averaged() must return a mapping of names to modules"]),
        (planted(average_decay=property(lambda self: 1)), ["average_decay is 1, and must be at least 0 and less than"]),
        (planted(clip_norm=property(lambda self: 0)), ["clip_norm is 0, and must be None or a number above 0"]),
        (planted(learning_rate_factor=lambda self, name, progress: None), ["learning_rate_factor('colours', ...) is"]),
        (edits(lambda edited: edited[:, :, :16]), ["returns a tensor of 2 x 3 x 16 x 32, and must", "2 x 3 x 32 x 32"]),
        (edits(lambda edited: edited[:1]), ["returns a tensor of 1 x 3 x 32 x 32"]),
        (edits(lambda edited: edited.permute(0, 2, 3, 1)), ["returns a tensor of 2 x 32 x 32 x 3"]),
        (edits(lambda edited: edited.numpy()), ["returns ndarray"]),
        (edits(lambda edited: edited.double()), ["returns torch.float64, and must return torch.float32 in [-1, 1]"]),
        (edits(lambda edited: edited * torch.nan), ["returns values that are not finite numbers"]),
        (edits(lambda edited: edited.sigmoid()), ["returns no value below 0", "pictures in [-1, 1], where -1 is"]),
        (edits(lambda edited: edited + torch.rand(1)), ["is another each time: draw a latent from latents(target.s"]),
        (planted(edit=in_place), ["changes what it is given in place: work on a copy, images.clone()"]),
        (planted(edit=raises), [f"raises ValueError: no faces (in {__file__}, line "]),
        (steps(lambda loss: {"distance": loss}, "color"), ["updates 'color', and", "did you mean 'colours'?"]),
        (steps(lambda loss: {"distance": 0.5}), [f"training_step returns float '0.5' under 'distance': {DICT}"]),
        (steps(lambda loss: {"distance": loss[None]}), ["training_step returns a tensor of shape (1,) without a grad"]),
        (steps(lambda loss: loss), ["training_step returns a tensor of shape () without a gradient"]),
        (steps(lambda loss: None), [f"training_step returns NoneType 'None': {DICT}"]),
        (steps(lambda loss: {"distance": loss.clone().requires_grad_()}), ["returns a loss 'distance' with its graph"]),
        (steps(lambda loss: {"distance": loss / 0}), ["returns a loss 'distance' of inf in its first steps"]),
        (updates(lambda loss: loss.item()), ["updates 'colours' with float '", "with a scalar tensor that depends"]),
        (updates(lambda loss: loss.detach()), ["updates 'colours' with a tensor of shape () without a gradient"]),
        (updates(lambda loss: loss.expand(2)), ["updates 'colours' with a tensor of shape (2,), and must"]),
        (updates(lambda loss: loss * torch.nan), ["updates 'colours' with a loss of nan in its first steps"]),
        (Reads, ["with a loss of nan in its first steps; action units and landmarks are known only where needs"]),
        (planted(training_step=lambda self, faces, update, progress: {}), ["training_step calls no update"]),
        (planted(training_step=raises), [f"training_step raises ValueError: no faces (in {__file__}, line "]),
        (planted(training_step=lambda self: {}), ["training_step raises TypeError: "]),
        (planted(warnings=lambda self, means: "bad"), ["warnings returns str 'bad'", "must return a list of"]),
    ],
)  # fmt: skip
def test_what_it_does(method: type[Dummy], messages: list[str]) -> None:
    actual = behaviour(method)
    by_guide = [line for line in actual if line.startswith("edit (guide ")]
    assert len(actual) == (0 if not messages else 2 if by_guide else 1), actual
    assert all(part in line for part in messages for line in actual), actual


def test_violations_of_different_kinds_are_all_reported() -> None:
    method = planted(clip_norm=property(lambda self: -1), edit=raises, training_step=raises)
    assert [line.split(" ")[0] for line in behaviour(method)] == ["clip_norm", "edit", "edit", "training_step"]


def test_the_line_of_an_error_in_torch_is_the_methods_own() -> None:
    def edit(self: Dummy, sources: Faces, target: Target) -> Tensor:
        return self.mix(sources.images[:, :2])

    number = edit.__code__.co_firstlineno + 1
    (line, _) = behaviour(planted(edit=edit))
    assert line.startswith("edit (guide R) raises RuntimeError: Given groups=1")
    assert line.endswith(f"(in {__file__}, line {number})")


def test_a_check_leaves_every_random_state_as_it_was() -> None:
    before = random_tensors()
    behaviour(Dummy)
    after = random_tensors()
    assert all(torch.equal(state, after[name]) for name, state in before.items())


@pytest.mark.parametrize("name", METHODS)
def test_this_repositorys_methods_keep_the_contract(name: str) -> None:
    method = find_method(name)
    assert lines(check_class, method) == []
    settings = make_settings(method.Settings, {"width": 0.125}, name)
    assert lines(check_behaviour, method, settings, Shape(32), "cpu") == []


def test_nothing_is_made_for_a_method_that_breaks_it(
    tmp_path: Path, make_faces: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*configure(tmp_path), "--data", f"rendered:{make_faces(identities=5)}", "--out", str(tmp_path / "out")]
    (tmp_path / "broken_method.py").write_text(
        "from tests.dummy import Dummy\n\n\nclass Broken(Dummy):\n"
        "    def edit(self, sources, target):\n        return sources.images[:, :, :7]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    rows = [
        {"id": name, "label": name, "method": name, "guide": "T", "data": "F"}
        for name in ("tests.dummy:Dummy", "broken_method:Broken")
    ]
    (tmp_path / "dummies.yaml").write_text(yaml.safe_dump({"title": "Two", "rows": rows}))
    assert run.main(arguments) == 2
    (first, second) = capsys.readouterr().err.strip().splitlines()
    assert first.startswith("error: method 'broken_method:Broken': edit (guide R) returns a tensor of 2 x 3 x 7 x 32")
    assert second.startswith("method 'broken_method:Broken': edit (guide T) returns a tensor of 2 x 3 x 7 x 32")
    assert not [path for path in (tmp_path / "out").glob("*/*") if path.parent.name in ("prepare", "train", "judge")]
