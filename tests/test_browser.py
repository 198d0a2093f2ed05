"""The browser that pages are tested in: what it must notice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.browser import accessibility_faults

PAGE = '<!doctype html><html lang="en"><title>t</title><main><h1>h</h1>{}</main></html>'


def write(path: Path, body: str) -> Path:
    path.write_text(PAGE.format(body), encoding="utf-8")
    return path


def test_a_page_is_shown_with_and_without_script(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    path = write(tmp_path / "a.html", "<p id=p>as written</p><script>p.textContent = innerWidth</script>")
    assert open_page(path, width=390).text_content("#p") == "390"
    assert open_page(path, script=False).text_content("#p") == "as written"
    dark = "matchMedia('(prefers-color-scheme: dark)').matches"
    assert [open_page(path, dark=dark_).evaluate(dark) for dark_ in (True, False)] == [True, False]


def test_faults_of_accessibility_are_found(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    assert accessibility_faults(open_page(write(tmp_path / "a.html", "<p>fine</p>"))) == []
    (fault,) = accessibility_faults(
        open_page(write(tmp_path / "b.html", '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">'))
    )
    assert fault.startswith("image-alt (critical): <img")
