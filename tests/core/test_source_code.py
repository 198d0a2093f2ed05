"""The digest of a method's source: what changes it, what does not, and that nothing is run for it."""

from __future__ import annotations

import ast
import sys
import sysconfig
from pathlib import Path

import pytest

from benchmark.core.source_code import imported_names, normal_form, source_digest

FILES = {
    "mine.py": "import sys\nfrom near import level\nimport pack.parts as parts\n\n\ndef f():\n    import late\n",
    "near.py": "level = 1\n",
    "late.py": "import importlib\nimportlib.import_module('plugin')\n",
    "plugin.py": "raise SystemExit('nothing is imported for a digest')\n",
    "pack/__init__.py": "",
    "pack/parts.py": "from . import inner\nfrom .deep import core\n",
    "pack/inner.py": "x = 1\n",
    "pack/deep/__init__.py": "",
    "pack/deep/core.py": "from ...near import level\nfrom .. import inner\n",
    "pack/settings.yaml": "a: 1\n",
    "pack/unused.py": "x = 1\n",
    "strangers.py": "x = 1\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path / "code")
    monkeypatch.syspath_prepend(tmp_path / "code")
    return tmp_path / "code"


def write(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("module", "matter"),
    [
        ("mine", set(FILES) - {"pack/settings.yaml", "pack/unused.py", "strangers.py"}),
        ("pack.parts", {name for name in FILES if name.startswith("pack/")}),
        ("pack.deep.core", {"pack/__init__.py", "pack/inner.py", "pack/deep/__init__.py", "pack/deep/core.py"}),
    ],
)  # fmt: skip
def test_what_a_module_is_and_imports_is_in_its_digest(folder: Path, module: str, matter: set[str]) -> None:
    before = source_digest(module)
    changed = set()
    for name, text in FILES.items():
        (folder / name).write_text(f"{text}\ny = 3\n")
        if source_digest(module) != before:
            changed.add(name)
        (folder / name).write_text(text)
    assert changed == matter
    assert source_digest(module) == before
    assert not {"mine", "near", "pack", "plugin"} & set(sys.modules)


def test_comments_formatting_and_the_folder_have_no_part_in_it(folder: Path, tmp_path: Path) -> None:
    before = source_digest("mine")
    (folder / "near.py").write_text("# how bright\nlevel = (\n    1\n)\n")
    assert source_digest("mine") == before
    folder.rename(tmp_path / "moved")
    sys.path.insert(0, str(tmp_path / "moved"))
    try:
        assert source_digest("mine") == before
    finally:
        sys.path.remove(str(tmp_path / "moved"))


@pytest.mark.parametrize("change", ["level = 1.0", "level = True", "level = '1'", "level = -1", "level == 1", "("])
def test_any_other_value_is_another_digest(folder: Path, change: str) -> None:
    before = source_digest("mine")
    (folder / "near.py").write_text(change)
    assert source_digest("mine") != before


def test_a_module_built_on_this_repository_has_its_methods_in_the_digest_and_not_the_harness(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (read.append(path.as_posix()), real(path))[1])
    (folder / "mine.py").write_text(
        "from baselines.stargan import StarGAN\nfrom benchmark.interface import Method\nimport torch"
    )
    source_digest("mine")
    assert any(name.endswith("baselines/stargan.py") for name in read)
    assert not any("/benchmark/" in name or "/torch/" in name for name in read)


def test_an_installed_module_is_followed_within_its_distribution(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, modules in (("mine", "mine\nnear\n"), ("pack", "pack\n")):
        record = folder / f"{name}-1.0.dist-info"
        record.mkdir()
        (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (record / "top_level.txt").write_text(modules)
    paths = {**sysconfig.get_paths(), "purelib": str(folder)}
    monkeypatch.setattr(sysconfig, "get_paths", lambda: paths)
    before = source_digest("mine")
    (folder / "pack" / "parts.py").write_text("x = 2\n")
    assert source_digest("mine") == before
    (folder / "near.py").write_text("level = 2\n")
    assert source_digest("mine") != before


def test_a_module_that_is_not_there(folder: Path) -> None:
    for module, missing in (("nowhere.x", "nowhere"), ("pack.nowhere.x", "pack.nowhere"), ("mine.x", "mine.x")):
        with pytest.raises(ModuleNotFoundError, match=f"No module named '{missing}'$"):
            source_digest(module)
    with pytest.raises(OSError, match="'sys' is not a file"):
        source_digest("sys")


def test_the_names_that_a_module_imports() -> None:
    tree = ast.parse("import a.b as c\nfrom . import d\nfrom ..e import f\nfrom ....g import h")
    assert imported_names(tree, "p.q.r", is_package=False) == {"a.b", "p.q", "p.q.d", "p.e", "p.e.f"}
    assert "p.q.r.d" in imported_names(tree, "p.q.r", is_package=True)


def test_the_normal_form_keeps_what_is_absent_apart() -> None:
    forms = [repr(normal_form(ast.parse(text))) for text in ("x = None", "x = []", "x: int", "def f(): return", "f''")]
    assert len(set(forms)) == len(forms)
