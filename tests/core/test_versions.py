"""No code of a method, a stage, a metric or a data set changes without a decision about its version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import versions
from tests.versions import LIST, Versioned, current, differences, digests


def test_every_version_was_decided_with_its_code() -> None:
    changed = differences(json.loads(LIST.read_text()), current())
    assert not changed, "\n".join([*map(str, changed), "see tests/versions.py: python -m tests.versions"])


PACKAGE = {
    "baselines/method.py": """
        \"\"\"A method.\"\"\"
        from baselines import layers
        from baselines.losses import loss as penalty
        from benchmark.core.errors import UserError
        from benchmark.other import Other

        RATE = 2
        UNUSED = 3

        class Method:
            rate = RATE

            def step(self, x):
                \"\"\"Step.\"\"\"
                loss = layers.block(x)
                if x is None:
                    raise UserError("no picture")
                return loss + penalty(x) + Other().value

            def edit(self, loss):
                return loss
    """,
    "baselines/layers.py": """
        import torch
        from baselines.scale import SCALE

        def block(x):
            return torch.relu(x) * SCALE

        def other(x):
            return -x
    """,
    "baselines/losses.py": """
        def loss(x):
            # mean
            return x.mean()
    """,
    "baselines/scale.py": "SCALE = 1",
    "benchmark/core/errors.py": "class UserError(Exception): pass",
    "benchmark/other.py": """
        from baselines.scale import SCALE

        class Other:
            value = 1
    """,
}
METHOD = Versioned("method", 1, ("baselines.method", "Method"))
OTHER = Versioned("other", 1, ("benchmark.other", "Other"))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    for name, text in PACKAGE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.replace("\n        ", "\n"))
    yield tmp_path
    forget()


def forget() -> None:
    for function in (versions._path, versions._module, versions._named, versions._form):
        function.cache_clear()


def changed(root: Path, name: str, *replaced: str) -> set[str]:
    """The things whose digest a replacement changes."""
    forget()
    before = digests([METHOD, OTHER])
    text = (root / name).read_text()
    assert replaced[0] in text
    (root / name).write_text(text.replace(*replaced))
    forget()
    return {thing for thing, digest in digests([METHOD, OTHER]).items() if digest != before[thing]}


@pytest.mark.parametrize(
    ("name", "old", "new", "things"),
    [
        ("baselines/method.py", "RATE = 2", "RATE = 4", {"method"}),
        ("baselines/method.py", "rate = RATE", "rate = 1 + RATE", {"method"}),
        ("baselines/layers.py", "relu", "tanh", {"method"}),
        ("baselines/losses.py", "mean()", "sum()", {"method"}),
        ("baselines/scale.py", "1", "2", {"method"}),
        ("benchmark/other.py", "value = 1", "value = 2", {"other"}),
        ("baselines/method.py", "UNUSED = 3", "UNUSED = 4", set()),
        ("baselines/layers.py", "-x", "x", set()),
        ("baselines/losses.py", "# mean", "# the mean of all", set()),
        ("baselines/method.py", "Step.", "Do one step.", set()),
        ("baselines/losses.py", "x", "images", set()),
        ("baselines/method.py", "loss = layers.block(x)", "loss = layers.other(x)", {"method"}),
        ("baselines/method.py", "return loss + penalty(x)", "return x + penalty(x)", {"method"}),
        ("baselines/method.py", "no picture", "there is no picture", set()),
        ("benchmark/core/errors.py", "pass", "code = 2", set()),
    ],
)
def test_what_a_digest_is_of(root: Path, name: str, old: str, new: str, things: set[str]) -> None:
    assert changed(root, name, old, new) == things


def test_a_definition_that_moves_is_the_same(root: Path) -> None:
    forget()
    before = digests([METHOD])
    (root / "baselines/losses.py").rename(root / "baselines/terms.py")
    method = root / "baselines/method.py"
    method.write_text(method.read_text().replace("from baselines.losses", "from baselines.terms"))
    forget()
    assert digests([METHOD]) == before


def test_the_list_is_renewed_by_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = {"stage a": {"version": 1, "digest": "new"}, "stage b": {"version": 2, "digest": "x"}}
    path = tmp_path / "versions.json"
    path.write_text(json.dumps({"stage a": {"version": 1, "digest": "old"}, "stage c": {"version": 1, "digest": "y"}}))
    monkeypatch.setattr(versions, "LIST", path)
    monkeypatch.setattr(versions, "current", lambda: now)
    before = path.read_text()
    assert versions.main(["--renew"]) == 1
    assert path.read_text() == before
    assert capsys.readouterr().out.splitlines() == [
        "stage a: its code changed and its version, 1, did not: raise it, or say --same, if its results stay the same",
        "stage b is new",
        "stage c is gone",
        "nothing was written",
    ]
    assert versions.main(["--renew", "--same", "a"]) == 0
    assert json.loads(path.read_text()) == now
