"""Methods by name: one clear line for a name that leads to none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from benchmark.training.registry import METHODS, code_digest, find_method


@pytest.mark.parametrize(
    "name", [":", "..x:", ":C", "a:", "..x:y", "a..b:C", "a b:C", "pathlib:Path:x", "a:C.d", "/x.py:C"]
)
def test_what_is_no_import_path(name: str) -> None:
    with pytest.raises(UserError) as refused:
        find_method(name)
    assert str(refused.value) == f"method '{name}' is no import path: write \"package.module:Class\""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("startgan", "unknown method 'startgan'; did you mean 'stargan'"),
        ("..x", "unknown method '..x'; known: "),
        ("no.such.module:Thing", r"method 'no.such.module:Thing' does not import: No module named 'no'$"),
        ("pathlib:Path", r"method 'pathlib:Path' is not a Method \(benchmark.interface\)$"),
        ("pathlib:Nothing", "method 'pathlib:Nothing' does not import: module 'pathlib' has no attribute 'Nothing'"),
    ],
)
def test_what_leads_to_no_method(name: str, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        find_method(name)


def test_what_has_no_digest() -> None:
    with pytest.raises(
        UserError, match=r"^method 'sys:C' has no source to take a digest of: module 'sys' is not a file"
    ):
        code_digest("sys:C")
    with pytest.raises(UserError, match=r"^method 'no.such:C' does not import: No module named 'no'"):
        code_digest("no.such:C")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\ny = x / 0\n", r"does not import: ZeroDivisionError: division by zero \(in .*broken.py, line 2\)$"),
        ("def f(:\n", r"does not import: SyntaxError: invalid syntax \(broken.py, line 1\)$"),
        ("import not_there\n", r"does not import: No module named 'not_there'$"),
    ],
)
def test_a_module_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken.py").write_text(source)
    with pytest.raises(UserError, match=f"^method 'broken:Method' {message}"):
        find_method("broken:Method")


def test_the_digest_is_of_the_source_that_was_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "imported_once.py"
    path.write_text("from tests.dummy import Dummy\n")
    before = code_digest("imported_once:Dummy")
    path.write_text("from tests.dummy import Dummy\nx = 1\n")
    assert (edited := code_digest("imported_once:Dummy")) != before
    assert code_digest("imported_once:Other") != edited
    assert find_method("imported_once:Dummy").__name__ == "Dummy"
    path.write_text("from tests.dummy import Dummy\nx = 2\n")
    assert code_digest("imported_once:Dummy") == edited
    monkeypatch.delitem(sys.modules, "imported_once")
    assert code_digest("imported_once:Dummy") not in (before, edited)


def test_this_repositorys_methods_have_versions_instead() -> None:
    assert {code_digest(name) for name in METHODS} == {""}


def test_a_digest_imports_nothing_heavy() -> None:
    code = (
        "import sys; from benchmark.training import registry\n"
        "registry.code_digest('models.mtss:MTSS'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
