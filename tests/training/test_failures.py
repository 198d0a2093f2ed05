"""When a training has failed by its own measure: at its end, or for most of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch import Tensor

from benchmark.interface import FaceSource, Progress, Update
from benchmark.training import failures as verdict
from benchmark.training.failures import CLIPPED, failures
from benchmark.training.trainer import STATE
from tests.dummy import Dummy, DummySettings
from tests.training.test_trainer import train, trainer


def saturated(means: Mapping[str, float]) -> list[str]:
    return ["saturated"] if means.get("magnitude", 0.0) > 0.9 else []


def history(*stretches: tuple[int, float], every: int = 5) -> pd.DataFrame:
    """Rows of a training: so many with that magnitude, and so on."""
    values = np.concatenate([np.full(count, value) for count, value in stretches])
    return pd.DataFrame({"iteration": every * (1 + np.arange(len(values))), "magnitude": values})


@pytest.mark.parametrize(
    ("stretches", "since"),
    [
        ([(40, 0.5)], None),
        ([(20, 0.95), (20, 0.5)], None),  # half of the run, and it recovers
        ([(21, 0.95), (19, 0.5)], 5),  # more than half
        ([(38, 0.5), (2, 0.95)], None),  # half of the last tenth
        ([(37, 0.5), (3, 0.95)], 190),
        ([(3, 0.95), (34, 0.5), (3, 0.95)], 5),
        ([(4, 0.5), (1, 0.95)], 25),  # the last row alone is more than the last tenth
        ([(1, 0.95)], 5),
    ],
)
def test_at_the_end_or_for_more_than_half_of_the_run(stretches: list[tuple[int, float]], since: int | None) -> None:
    expected = [] if since is None else [f"from iteration {since}: saturated"]
    assert failures(history(*stretches), saturated) == expected


def test_rows_count_as_long_as_they_are() -> None:
    losses = pd.DataFrame({"iteration": [10, 20, 21, 22, 23], "magnitude": [0.95, 0.95, 0.5, 0.5, 0.5]})
    assert failures(losses, saturated) == ["from iteration 10: saturated"]


def test_a_loss_that_was_not_computed_keeps_its_value() -> None:
    losses = history((20, 0.95))
    losses.loc[1::2, "magnitude"] = np.nan
    assert failures(losses, saturated) == ["from iteration 5: saturated"]
    assert failures(losses.iloc[:0], saturated) == []


def test_every_failure_counts_for_itself() -> None:
    losses = history((30, 0.95), (10, 0.2))
    both = failures(losses, lambda means: [*saturated(means), *(["vanished"] if means["magnitude"] < 0.3 else [])])
    assert both == ["from iteration 5: saturated", "from iteration 155: vanished"]


class Clipped(Dummy):
    """Its gradients reach the norm at which they are clipped in so many updates of ten."""

    share = 0

    @property
    def clip_norm(self) -> float | None:
        return 1.0

    def training_step(self, faces: FaceSource, update: Update, progress: Progress) -> dict[str, Tensor]:
        scale = 1e3 if progress.iteration % 10 < self.share else 1e-3
        return super().training_step(faces, lambda name, loss: update(name, loss * scale), progress)


@pytest.mark.parametrize(("share", "failed"), [(4, False), (6, True)])
def test_gradients_clipped_in_most_updates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: int, failed: bool
) -> None:
    monkeypatch.setattr(Clipped, "share", share)
    training = trainer(tmp_path, iterations=20, method=Clipped)
    training.budget = type(training.budget)(20, 10, 10)
    train(training)
    assert training.losses()[f"{CLIPPED}colours"].tolist() == pytest.approx([share / 10, share / 10])
    assert [text.startswith("from iteration 10: most gradients of the colours") for text in training.failures()] == (
        [True] if failed else []
    )


def test_clipping_counts_over_the_whole_training(tmp_path: Path) -> None:
    def clipped(*shares: float) -> list[str]:
        iterations = 10 * (1 + np.arange(len(shares)))
        return failures(pd.DataFrame({"iteration": iterations, f"{CLIPPED}generator": shares}), lambda means: [])

    assert clipped(0.0, 0.0, 0.0, 1.0) == []
    assert clipped(1.0, 1.0, 0.0, 0.0) == []
    assert clipped(np.nan, 0.4, 1.0, np.nan)[0].startswith("from iteration 30: most gradients of the generator")


def test_an_interrupted_training_gets_the_same_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dummy, "warnings", lambda self, means: ["far"] if means["distance"] > 0.3 else [])
    whole = trainer(tmp_path / "whole")
    train(whole)
    cut = trainer(tmp_path / "cut", iterations=6)
    train(cut)
    again = trainer(tmp_path / "cut", DummySettings())
    assert (tmp_path / "cut" / STATE).exists()
    assert again.resume()
    train(again)
    assert again.failures() == whole.failures() != []


def test_no_end_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rule of the last tenth, a training that ends in a failure would pass."""
    monkeypatch.setattr(verdict, "END", 1.0)
    assert failures(history((30, 0.5), (10, 0.95)), saturated) == []
