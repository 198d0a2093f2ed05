"""benchmark.ui: a server on loopback that opens on the answer and ends with the command."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmark import ui
from tests.core.test_mlflow_view import HEADLINE, log_suite
from tests.core.test_tracking import ROWS, out, template

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["out", "template"]


PATIENCE = 120_000
"""Milliseconds for MLflow's page: a second on an idle machine."""


def test_it_serves_on_loopback_until_ctrl_c(out: Path, browser: Browser, request: pytest.FixtureRequest) -> None:
    log_suite(out, [])
    before = {path.name for path in out.iterdir()}
    command = [sys.executable, "-m", "benchmark.ui", "--out", str(out), "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(Path(ui.__file__).parents[1])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    request.addfinalizer(process.wait)  # the last to be called: after a failure, too, the server ends
    request.addfinalizer(lambda: process.send_signal(signal.SIGINT))
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    server = address.partition("/#/")[0]
    assert server.startswith("http://127.0.0.1:")
    assert "viewStateShareKey=" in address
    with urllib.request.urlopen(server, timeout=30) as answer:
        assert b"<html" in answer.read()
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    for name, _ in HEADLINE:
        page.get_by_text(name, exact=True).first.wait_for()
    first, second = (page.get_by_text(name, exact=True).first.bounding_box() for name, _ in HEADLINE)
    assert first is not None
    assert second is not None
    assert first["y"] < 1000, "the headline metrics are what is seen first"
    assert (first["y"], first["x"]) < (second["y"], second["x"])
    for row in ROWS:
        assert page.get_by_text(row.name).first.is_visible()
    assert "title" not in page.locator("[role=row]").all_inner_texts()
    page.close()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "Ctrl-C ends the server\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(server.rpartition(":")[2])), 2)
    assert {path.name for path in out.iterdir()} == before
    assert list(Path.cwd().iterdir()) == []


def test_wrong_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ui.main(["--out", str(tmp_path)]) == 2
    assert "mlflow.db is missing: benchmark.run" in capsys.readouterr().err
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    assert ui.main(["--out", str(tmp_path)]) == 2
    assert "is damaged" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert ui.main(["--out", str(tmp_path), "--port", str(taken.getsockname()[1])]) == 2
    assert "--port" in capsys.readouterr().err
    assert ui.main(["--out", str(tmp_path), "--port", "99999999"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_server_of_ones_own_is_opened(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmark.core import mlflow_server

    opened: list[str] = []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5999/")
    monkeypatch.setattr(mlflow_server, "opening_path", lambda uri: "/#/experiments/3/runs")
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert ui.main([]) == 0
    assert opened == ["http://127.0.0.1:5999/#/experiments/3/runs"]
    assert capsys.readouterr().out == f"{opened[0]}\n"
