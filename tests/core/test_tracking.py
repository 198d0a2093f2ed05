"""Tracking never costs a result: whatever happens to MLflow is one warning, and what was missed is logged once."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Experiment, Run
from mlflow.version import VERSION
from sqlalchemy.exc import OperationalError

from benchmark.core import mlflow_session, tracking
from benchmark.core.mlflow_session import DATABASE, EXPERIMENT, FILES, NAME, PLAN_TAG, URI, sqlite_uri
from benchmark.core.mlflow_view import PARENT_TAG
from benchmark.core.tracking import JOURNALS, LATER, MlflowTracker, TrackedRow, deliver_missed

PLAN = "0123456789abcdef" * 4
ROWS = [TrackedRow("a seed 0", "t0", {"method": "m"}), TrackedRow("b seed 0", "t0", {"method": "m"})]
FILE, FACE = "table.md", "faces.png"
REVISIONS = {"older": "451aebb31d03", "newer": "0123456789ab"}
"""Of a database's tables: MLflow's of 2019, and one that it does not know."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("template") / DATABASE
    mlflow_session._create_database(path)
    return path


@pytest.fixture
def out(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output folder with a database, called from elsewhere."""
    monkeypatch.delenv(URI, raising=False)
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.setattr(tracking, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr(mlflow_session, "PROBE_SECONDS", 0.4)
    for folder in ("out", "called-from"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "called-from")
    shutil.copy(template, tmp_path / "out")
    return tmp_path / "out"


def history(end: int) -> pd.DataFrame:
    """Two losses, one of which was not computed at first."""
    steps = range(1, end + 1)
    return pd.DataFrame({"iteration": steps, "g": [step / 2 for step in steps], "d": [float("nan"), *steps[1:]]})


class Suite:
    """A suite of two rows that share a training of 6 iterations."""

    def __init__(self, out: Path, plan: str = PLAN) -> None:
        self.out, self.plan, self.warnings = out, plan, list[str]()
        self.tracker = MlflowTracker(out, plan, "title", ROWS, lambda: {"p": 1}, "command", self.warnings.append)

    def train(self, end: int) -> None:
        self.tracker.losses("t0")(history(end))

    def train_and_log(self, end: int) -> None:
        self.train(end)
        until(lambda: [run.data.metrics.get("loss/d") for run in runs_of(client_of(self.out)).values()].count(end) == 2)

    def finish(self, private: tuple[str, ...] = ("face",)) -> None:
        for row in ROWS:
            self.tracker.row(row.name, history(6), {"fid": 400.3, "ca": 12.5}, ["saturated"])
        folder = self.out / "reports" / "r"
        folder.mkdir(parents=True, exist_ok=True)
        for name in (FILE, FACE):
            (folder / name).write_text(name)
        self.tracker.finish("reports/r", {"table": FILE, "face": FACE}, {"accuracy": 50.0}, private)
        self.tracker.close()


def until(met: Callable[[], Any]) -> None:
    late = time.monotonic() + 30
    while not met():
        assert time.monotonic() < late
        time.sleep(0.05)


def files_of(folder: Path) -> dict[Path, int]:
    """When each file was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def client_of(out: Path, uri: str = "") -> MlflowClient:
    return MlflowClient(uri or sqlite_uri(out / DATABASE))


def experiment_of(client: MlflowClient) -> Experiment:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return experiment


def runs_of(client: MlflowClient) -> dict[str, Run]:
    """By name, each once."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {str(run.info.run_name): run for run in runs}


def journals(out: Path) -> list[Path]:
    return list((out / JOURNALS).glob("*"))


def check_complete(out: Path, uri: str = "") -> None:
    """Everything is there, once."""
    client = client_of(out, uri)
    runs = runs_of(client)
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    parent = runs["title"]
    assert parent.data.metrics == {"accuracy": 50.0}
    assert parent.data.params == {"p": "1"}
    assert {file.path for file in client.list_artifacts(parent.info.run_id, "report")} >= {f"report/{FILE}"}
    for row in ROWS:
        child = runs[row.name]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.tags[mlflow_session.FAILED_TAG] == "saturated"
        assert (child.data.metrics["fid"], child.data.metrics["ca"]) == (400.3, 12.5)
        for name, values in (("g", [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]), ("d", [2.0, 3.0, 4.0, 5.0, 6.0])):
            points = client.get_metric_history(child.info.run_id, f"loss/{name}")
            assert [point.value for point in points] == values
            assert [point.step for point in points] == list(range(7 - len(values), 7))
        assert len(client.get_metric_history(child.info.run_id, "fid")) == 1
    assert not journals(out)
    assert not list(Path.cwd().iterdir())


def locked(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


# ------------------------------------------------------------------------------------------------ all goes well
def test_a_suite_is_logged_once_and_quietly(out: Path) -> None:
    suite = Suite(out)
    for end in (2, 4, 4, 6):
        suite.train(end)
    suite.finish()
    assert suite.warnings == []
    check_complete(out)
    deliver_missed(out, PLAN, suite.warnings.append)
    check_complete(out)
    files = {path.name for path in (out / FILES).rglob("*") if path.is_file()}
    assert files == {FILE, FACE}


def test_an_interrupted_suite_goes_on_with_its_runs(out: Path) -> None:
    first = Suite(out)
    first.train_and_log(3)
    first.tracker.interrupted()
    before = runs_of(client_of(out))
    assert {run.info.status for run in before.values()} == {"KILLED"}
    second = Suite(out)
    second.finish()
    check_complete(out)
    assert {run.info.run_id for run in runs_of(client_of(out)).values()} == {run.info.run_id for run in before.values()}
    assert first.warnings == second.warnings == []


@pytest.mark.parametrize("name", ["a b", "100%", "a%20b", "a?b", "a#b", "[x]", "ü"])
def test_every_name_of_an_output_folder(out: Path, name: str) -> None:
    folder = out.with_name(name)
    out.rename(folder)
    beside = {path.name for path in folder.parent.iterdir()}
    suite = Suite(folder)
    suite.finish()
    assert suite.warnings == []
    check_complete(folder)
    assert {path.name for path in (folder / FILES).rglob("*") if path.is_file()} == {FILE, FACE}
    assert {path.name for path in folder.parent.iterdir()} == beside


def test_a_database_of_ones_own_keeps_its_files_below_the_output_folder(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{out.parent / 'own.db'}"
    monkeypatch.setenv(URI, uri)
    (out / DATABASE).rename(out.parent / "own.db")
    suite = Suite(out)
    suite.finish()
    assert suite.warnings == []
    check_complete(out, uri)
    assert {path.name for path in (out / FILES).rglob("*") if path.is_file()} == {FILE, FACE}


def test_faces_stay_below_the_output_folder_where_an_experiment_has_another_place(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client_of(out).create_experiment(EXPERIMENT, (out.parent / "elsewhere").as_uri())
    Suite(out).finish()
    check_complete(out)
    assert {path.name for path in (out.parent / "elsewhere").rglob("*") if path.is_file()} == {FILE}


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree])
def test_a_moved_or_copied_folder_keeps_its_files(out: Path, how: Callable[[Path, Path], Any]) -> None:
    Suite(out).finish()
    files = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    there = out.with_name("there")
    how(out, there)
    second = Suite(there, PLAN[::-1])
    second.finish()
    assert second.warnings == []
    runs = client_of(there).search_runs([experiment_of(client_of(there)).experiment_id])
    assert len(runs) == 6
    for run in runs:
        assert run.info.artifact_uri.startswith(f"{there.as_uri()}/")
    assert len(list((there / FILES).rglob(FILE))) == 2
    if out.exists():
        assert sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file()) == files
        check_complete(out)


@pytest.fixture
def own(out: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a database of one's own, beside the output folder."""
    (out / DATABASE).rename(out.parent / "own.db")
    uri = f"sqlite:///{out.parent / 'own.db'}"
    monkeypatch.setenv(URI, uri)
    return uri


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree])
def test_files_go_with_the_folder_where_the_database_is_ones_own(
    out: Path, own: str, how: Callable[[Path, Path], Any]
) -> None:
    Suite(out).finish()
    there = out.with_name("there")
    how(out, there)
    before = files_of(out)
    second = Suite(there, PLAN[::-1])
    second.finish()
    assert second.warnings == []
    assert files_of(out) == before
    assert out.exists() is (how is shutil.copytree)
    client = client_of(out, own)
    parents = [run for run in client.search_runs(["1"]) if PARENT_TAG not in run.data.tags]
    folders = {run.data.tags[PLAN_TAG]: run.info.artifact_uri for run in parents}
    assert folders[PLAN[::-1]].startswith(f"{there.as_uri()}/")
    assert folders[PLAN].startswith(f"{(out if out.exists() else there).as_uri()}/")
    for run in parents:
        names = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "report")}
        assert names == {FILE, FACE}  # these show faces, which stay below the output folder


def test_each_folder_keeps_its_own_files_where_two_share_a_database(out: Path, own: str) -> None:
    del own
    other = out.with_name("other")
    for number, folder in enumerate((out, other)):
        folder.mkdir(exist_ok=True)
        suite = Suite(folder, f"{number}" * 64)
        suite.finish()
        assert suite.warnings == []
    for folder in (out, other):
        assert sorted(path.name for path in files_of(folder / FILES)) == sorted([FILE, FACE])


def test_an_interrupted_suite_that_was_moved_goes_on_in_its_new_place(out: Path, own: str) -> None:
    first = Suite(out)
    first.train(3)
    until(lambda: len(runs_of(client_of(out, own))) == 3)
    first.tracker.interrupted()
    there = out.with_name("there")
    shutil.move(out, there)
    Suite(there).finish()
    check_complete(there, own)
    assert not out.exists()


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("sqlite:////x/y.db", True), ("postgresql://me@host/x", True), ("mysql+pymysql://me@host/x", True),
        ("http://host:5000", False), ("databricks", False), ("/x/mlruns", False), ("file:///x/mlruns", False),
    ],
)  # fmt: skip
def test_files_lie_below_the_output_folder_unless_another_program_keeps_them(uri: str, location: bool) -> None:
    """A database has no place for files, and MLflow would take ./mlruns of the calling folder."""
    assert mlflow_session._is_database(uri) is location


# ------------------------------------------------------------------------------------------------ and what does not
def test_a_locked_database_is_one_warning_and_logged_when_it_is_free(out: Path) -> None:
    with closing(locked(out / DATABASE)):
        suite = Suite(out)
        suite.train(2)
        until(lambda: suite.warnings)
        suite.train(4)
    suite.finish()
    (warning,) = suite.warnings
    assert warning == (
        f"the MLflow database {out / DATABASE} is locked by another process: end that, or wait for it; {LATER}"
    )
    check_complete(out)


def test_a_database_that_stays_locked_is_logged_to_by_the_next_call(out: Path) -> None:
    suite = Suite(out)
    suite.train_and_log(3)
    suite.tracker._session = None  # MLflow waits for a lock for twenty seconds, a new session finds it at once
    with closing(locked(out / DATABASE)):
        suite.finish()
    assert len(suite.warnings) == len(journals(out)) == 1
    for _ in range(2):
        deliver_missed(out, PLAN, suite.warnings.append)
    assert len(suite.warnings) == 1
    check_complete(out)


def test_a_dead_address_is_reported_at_the_start(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv(URI, f"http://me:secret@127.0.0.1:{port}")
    suite = Suite(out)
    suite.tracker.start()
    until(lambda: suite.warnings)
    suite.finish()
    (warning,) = suite.warnings
    assert warning.startswith(f"MLflow at http://127.0.0.1:{port} does not answer (")
    assert f"check {URI}; {LATER}" in warning
    monkeypatch.delenv(URI)
    deliver_missed(out, PLAN, suite.warnings.append)
    check_complete(out)


def test_a_server_that_says_nothing_holds_nobody_up(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv(URI, f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        suite = Suite(out)
        started = time.monotonic()
        for end in range(1, 7):
            suite.train(end)
        assert time.monotonic() - started < 1
        suite.finish()
        assert time.monotonic() - started < 30
    assert len(suite.warnings) == len(journals(out)) == 1
    assert f"check {URI}" in suite.warnings[0]


def test_a_server_that_is_too_slow_is_left_behind(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "CLOSE_SECONDS", 0.5)
    monkeypatch.setattr(mlflow_session, "probe", lambda _: time.sleep(2))
    suite = Suite(out)
    suite.finish()
    assert "(it takes too long)" in suite.warnings[0]
    assert len(journals(out)) == 1
    suite.tracker._thread.join(30)  # type: ignore[union-attr]
    check_complete(out)


def test_a_deleted_run_is_made_again(out: Path) -> None:
    suite = Suite(out)
    suite.train_and_log(3)
    client = client_of(out)
    for run in runs_of(client).values():
        client.delete_run(run.info.run_id)
    suite.train(5)
    suite.finish()
    (warning,) = suite.warnings
    assert warning == (
        f"a run in MLflow at {out / DATABASE} was deleted: a new one is made; everything is logged again"
    )
    check_complete(out)


def test_rows_go_below_the_new_run_of_a_suite_whose_run_alone_was_deleted(out: Path) -> None:
    suite = Suite(out)
    suite.train_and_log(3)
    client = client_of(out)
    client.delete_run(runs_of(client)["title"].info.run_id)
    suite.finish()
    assert len(suite.warnings) == 1
    check_complete(out)


@pytest.mark.parametrize("empty", [False, True])
def test_a_database_that_was_removed_is_made_again(out: Path, empty: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")  # also of this test's own connections
    suite = Suite(out)
    suite.train_and_log(3)
    (out / DATABASE).unlink()
    if empty:
        (out / DATABASE).touch()
    suite.finish()
    (warning,) = suite.warnings
    assert warning == (
        f"the MLflow database {out / DATABASE} was removed or replaced: a new one is made; everything is logged again"
    )
    check_complete(out)


@pytest.mark.parametrize("uri", ["http://[::1", "http://localhost:99999", "http://localhost:port", "ftp://host/x", " "])
def test_what_is_no_address_is_one_line(out: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URI, uri)
    suite = Suite(out)
    suite.finish()
    (warning,) = suite.warnings
    assert f"check {URI}" in warning
    assert "\n" not in warning
    monkeypatch.delenv(URI)
    deliver_missed(out, PLAN, suite.warnings.append)
    assert len(suite.warnings) == 1
    check_complete(out)


def test_a_deleted_experiment_is_named_with_what_brings_it_back(out: Path) -> None:
    suite = Suite(out)
    suite.train_and_log(3)
    client = client_of(out)
    number = experiment_of(client).experiment_id
    client.delete_experiment(number)
    suite.finish()
    (warning,) = suite.warnings
    assert f"its experiment '{EXPERIMENT}' was deleted" in warning
    assert f"`mlflow experiments restore --experiment-id {number}` brings it back, and {NAME} chooses" in warning
    assert URI not in warning
    client.restore_experiment(number)
    deliver_missed(out, PLAN, suite.warnings.append)
    check_complete(out)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("older", "its database was written by an older MLflow: `mlflow db upgrade sqlite:///"),
        ("newer", f"its database was written by a newer MLflow than {VERSION}, which is installed here: upgrade that"),
        ("garbage", "is damaged: move it away"),
        ("folder", "unable to open database file"),
    ],
)
def test_a_database_that_cannot_be_used(out: Path, content: str, message: str) -> None:
    path = out / DATABASE
    kept = path.read_bytes()
    path.unlink()
    if content in REVISIONS:
        path.write_bytes(kept)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", [REVISIONS[content]])
            connection.execute("DROP TABLE trace_tags")  # MLflow would make it, and upgrade the rest
        changed = path.read_bytes()
    elif content == "garbage":
        path.write_bytes(b"no database" * 1000)
    else:
        path.mkdir()
    suite = Suite(out)
    suite.train(3)
    suite.finish()
    (warning,) = suite.warnings
    assert message in warning
    assert f"check {URI}" not in warning
    assert "\n" not in warning
    assert len(journals(out)) == 1
    if content in REVISIONS:
        assert path.read_bytes() == changed
    if path.is_dir():
        path.rmdir()
    path.write_bytes(kept)
    deliver_missed(out, PLAN, suite.warnings.append)
    check_complete(out)


class Failing:
    """The third of every five calls does its work and fails all the same, as where an answer is lost.

    Not every third: a delivery ends three runs, and would fail for ever.
    """

    def __init__(self, work: Callable[..., Any]) -> None:
        self._work, self._calls = work, 0

    def __get__(self, client: object, _owner: type) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            answer = self._work(client, *arguments, **named)
            self._calls += 1
            if self._calls % 5 == 3:
                raise ConnectionError("lost")
            return answer

        return call


@pytest.mark.parametrize("name", ["log_batch", "set_terminated", "create_run", "log_artifact", "set_tag"])
def test_lost_answers_log_nothing_twice(out: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MlflowClient, name, Failing(getattr(MlflowClient, name)))
    suite = Suite(out)
    for end in range(1, 7):
        suite.train(end)
    suite.finish()
    for _ in range(9):
        deliver_missed(out, PLAN, suite.warnings.append)
    monkeypatch.undo()
    monkeypatch.chdir(out.parent / "called-from")
    check_complete(out)


def test_a_damaged_journal_is_one_line(out: Path) -> None:
    with closing(locked(out / DATABASE)):
        suite = Suite(out)
        suite.finish()
    (path,) = journals(out)
    path.write_text(path.read_text().replace("400.3", "500.3"))
    suite.warnings.clear()
    for _ in range(2):
        deliver_missed(out, PLAN, suite.warnings.append)
    (warning,) = suite.warnings
    assert "is damaged and removed" in warning
    assert not journals(out)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    import threading

    for thread in threading.enumerate():
        if thread.name == "tracking":
            thread.join(1)


def test_the_statement_that_failed_is_no_part_of_the_reason(out: Path) -> None:
    statement = "SELECT * FROM runs WHERE lifecycle_stage = 'deleted'"
    error = OperationalError(statement, {}, OSError("unable to open database file"))
    assert mlflow_session.describe(error, out) == (
        f"MLflow at {out / DATABASE} does not answer ((builtins.OSError) unable to open database file)"
    )
