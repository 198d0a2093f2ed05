"""Log a suite to MLflow; what MLflow has already is not logged again.

The standard variables win: MLFLOW_TRACKING_URI over the SQLite file in the output folder, MLFLOW_EXPERIMENT_NAME over
`fesbench`. Everything here may raise whatever MLflow, a database or a socket raises; `describe` turns it into a line.
"""

from __future__ import annotations

import atexit
import getpass
import json
import logging
import math
import os
import re
import shlex
import shutil
import socket
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

from benchmark.core.errors import one_line
from benchmark.core.locks import locked
from benchmark.core.mlflow_log import DatasetLog, RowLog, SuiteLog
from benchmark.core.mlflow_view import ORDER_TAG, PARENT_TAG, VIEW_TAG, view_key, view_path, view_state

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from sqlalchemy import Connection

URI, NAME = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
PLAN_TAG, ROW_TAG, FAILED_TAG = "fesbench.plan", "fesbench.row", "fesbench.failed"
NOTE_TAG = "mlflow.note.content"
"""Tag that the page shows as a run's description."""
LONGEST_TAG = 5000
COMMON_TAGS = {
    "fesbench.suite": "suite",
    "fesbench.profile": "profile",
    "fesbench.data": "data",
    "fesbench.commit": "environment.commit",
    "mlflow.source.git.commit": "environment.commit",
}
"""Tags of a suite's run and its rows, by the suite's parameter that they repeat, so that suites can be filtered."""
EXPERIMENT, DATABASE, FILES, REPORT = "fesbench", "mlflow.db", "mlflow-files", "report"
LOCAL_SERVER = "http://127.0.0.1:5000"
"""Default address of `mlflow ui`."""
BATCH = 900
"""MLflow takes at most 1,000 metrics at once."""
PROBE_SECONDS = 5.0
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
"""Environment for MLflow, whose defaults are two minutes a request and seven retries."""
DATABASES = frozenset({"sqlite", "postgresql", "mysql", "mssql"})
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}


class TrackingError(Exception):
    """MLflow cannot be logged to; the message says why and what to do."""


DELETED = ("deleted", "must be in the 'active' state", "RESOURCE_DOES_NOT_EXIST", "Run with id=")
"""Of messages about a run that is not there any more."""


def is_local(uri: str) -> bool:
    """Return whether a tracking URI keeps everything on this machine.

    True for a file, a folder, an SQLite database, and for none, which stands for the output folder's database.
    """
    parts = urlsplit(uri)
    if not parts.scheme:
        return not uri.startswith("databricks")
    return parts.scheme in {"sqlite", "file"} and not parts.netloc


class Session:
    """Logs one suite to one MLflow. After an error, a new session must be opened."""

    def __init__(self, out: Path, log: SuiteLog) -> None:
        """Connect, and resume the suite's runs or create them. log: its `runs` are filled in."""
        self._out, self._log = out, log
        self._steps: dict[str, dict[str, int]] = {}
        uri = os.environ.get(URI, "")
        database = out.absolute() / DATABASE
        probe(uri or f"sqlite:///{database}")
        path = _sqlite_path(uri) if uri else database
        if path is not None:
            _create_database(path)
            if path.absolute() == database:
                mend_locations(out)
        self._uri = uri or sqlite_uri(database)
        if _is_database(self._uri):
            import_mlflow()
            with _connected(self._uri) as connection:
                _check_schema(connection, self._uri)
                _mend_moved(connection, out)
        self._client = _client(self._uri)
        self._experiment_id = self._experiment()
        self._parent = self._take_up("", log.title, {}, log.parameters)
        self._rows: dict[str, str] = {}

    def losses(self, row: RowLog) -> None:
        """Log the losses of a row that its run lacks."""
        from mlflow.entities import Metric

        run = self._row_run(row)
        if run not in self._steps:
            self._steps[run] = _last_steps(self._client, run)
        steps, now = self._steps[run], _now()
        points = [
            Metric(f"loss/{name}", value, now, step)
            for name, values in row.losses.items()
            for step, value in values
            if step > steps.get(name, -1) and math.isfinite(value)
        ]
        points.sort(key=lambda point: point.step)
        for start in range(0, len(points), BATCH):
            self._client.log_batch(run, points[start : start + BATCH])
        for point in points:
            steps[point.key.removeprefix("loss/")] = point.step

    def row(self, row: RowLog) -> None:
        """Log all of a row; where it is scored, its run is then finished."""
        self.losses(row)
        if row.metrics is None:
            return
        run = self._row_run(row)
        if row.failures:
            self._client.set_tag(run, FAILED_TAG, row.failures[:LONGEST_TAG])
        if row.note:
            self._client.set_tag(run, NOTE_TAG, row.note.replace("{run}", run))
        self._dataset(run)
        self._metrics(run, row.metrics)
        for folder, paths in row.files.items():
            for path in (self._out / path for path in paths):
                if path.is_file():  # it may have been removed since, where a journal is delivered late
                    self._client.log_artifact(run, str(path), folder)
        self._client.set_terminated(run, "FINISHED", row.ended)

    def suite(self) -> str:
        """Log the report's files and the suite's own metrics; its run is then finished. Returns the path of the
        comparison's address.

        Private files are logged only where they stay below the output folder.
        """
        run, log = self._log.runs[""], self._log
        self._metrics(run, log.metrics or {})
        self._dataset(run)
        target = _local_path(self._client.get_run(run).info.artifact_uri)
        inside = target is not None and target.resolve().is_relative_to(self._out.resolve())
        stays = inside and is_local(os.environ.get(URI, ""))
        logged = {name: file for name, file in log.files.items() if stays or name not in log.private}
        for file in logged.values():
            self._client.log_artifact(run, str(self._out / log.folder / file), REPORT)
        if log.note:
            self._client.set_tag(run, NOTE_TAG, _note(log.note, run, logged))
        names = {name for row in log.rows for name in (*(row.metrics or {}), *(f"loss/{loss}" for loss in row.losses))}
        view = view_state(run, log.headline, names)
        self._client.set_experiment_tag(self._experiment_id, f"{VIEW_TAG}{view_key(run)}", view)
        self._client.set_terminated(run, "FINISHED")
        return view_path(self._experiment_id, view_key(run))

    def stopped(self) -> None:
        """Mark the open runs as killed; a later call resumes them."""
        for run in self._log.runs.values():
            if self._client.get_run(run).info.status == "RUNNING":
                self._client.set_terminated(run, "KILLED")

    def _dataset(self, run: str) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        given: DatasetLog | None = self._log.dataset
        if given is not None:
            source, profile = json.dumps(dict(given.source)), json.dumps(dict(given.profile))
            dataset = Dataset(given.name, given.digest, "fesbench", source, profile=profile)
            context = InputTag("mlflow.data.context", "training and evaluation")
            self._client.log_inputs(run, [DatasetInput(dataset, [context])])

    def _metrics(self, run: str, metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        logged, now = self._client.get_run(run).data.metrics, _now()
        new = [Metric(name, value, now, 0) for name, value in metrics.items() if logged.get(name) != value]
        for start in range(0, len(new), BATCH):
            self._client.log_batch(run, new[start : start + BATCH])

    def _experiment(self) -> str:
        """Return the experiment's id. Files of a new one in a database lie below the output folder."""
        name = os.environ.get(NAME) or EXPERIMENT
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None and experiment.lifecycle_stage == "deleted":
            raise TrackingError(
                f"its experiment '{name}' was deleted: `mlflow experiments restore --experiment-id "
                f"{experiment.experiment_id}` brings it back, and {NAME} chooses another"
            )
        if experiment is not None:
            return str(experiment.experiment_id)
        location = _files_uri(self._out) if _is_database(self._uri) else None
        # Without this tag the web page opens on views for language models.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        return str(self._client.create_experiment(name, location, tags))

    def _row_run(self, row: RowLog) -> str:
        """Return a row's run. It is created when the training begins, since MLflow does not change start times."""
        if row.name not in self._rows:
            index = next(index for index, other in enumerate(self._log.rows) if other.name == row.name)
            tags = {PARENT_TAG: self._parent, ORDER_TAG: f"{index:03d}"}
            self._rows[row.name] = self._take_up(row.name, row.name, tags, row.parameters, row.started)
        return self._rows[row.name]

    def _take_up(
        self,
        row: str,
        name: str,
        tags: Mapping[str, str],
        parameters: Mapping[str, Any],
        started: int | None = None,
    ) -> str:
        """Return the run that the log names, else the unfinished run of this plan and row, else a new one; its id."""
        from mlflow.entities import Param

        run = self._known(row) or self._unfinished(row)
        if run is None:
            source = {
                "mlflow.source.name": self._log.command, "mlflow.source.type": "LOCAL", "mlflow.user": _user()
            }  # fmt: skip
            given = {tag: self._log.parameters.get(parameter, "") for tag, parameter in COMMON_TAGS.items()}
            common = {tag: value for tag, value in given.items() if value}
            all_tags = {PLAN_TAG: self._log.plan, ROW_TAG: row, **source, **common, **tags}
            run = self._client.create_run(self._experiment_id, started, all_tags, name)
        number = str(run.info.run_id)
        for tag, value in tags.items():
            if run.data.tags.get(tag) != value:  # the suite's run may be another one since
                self._client.set_tag(number, tag, value)
        self._keep_files_here(run)
        new = {key: value for key, value in parameters.items() if key not in run.data.params}
        if new:
            self._client.log_batch(number, params=[Param(key, str(value)[:6000]) for key, value in new.items()])
        self._log.runs = {**self._log.runs, row: number}  # another thread may be reading the old one
        return number

    def _known(self, row: str) -> Run | None:
        """Return the run that the log names, unless it was deleted or belongs to another MLflow."""
        from mlflow.exceptions import MlflowException

        if number := self._log.runs.get(row):
            with suppress(MlflowException):
                run: Run = self._client.get_run(number)
                return run if run.info.lifecycle_stage == "active" else None
        return None

    def _unfinished(self, row: str) -> Run | None:
        """Reopen and return the unfinished run of this plan and row."""
        wanted = (
            f"tags.`{PLAN_TAG}` = '{self._log.plan}' and tags.`{ROW_TAG}` = '{row}' and attributes.status != 'FINISHED'"
        )
        runs: list[Run] = self._client.search_runs([self._experiment_id], wanted, max_results=1)
        if not runs:
            return None
        self._client.update_run(runs[0].info.run_id, status="RUNNING")
        return runs[0]

    def _keep_files_here(self, run: Run) -> None:
        """Point a run's files to this output folder where its experiment points elsewhere.

        MLflow gives a run the location of its experiment, which may no longer exist.
        """
        end = f"/{run.info.run_id}/artifacts"
        place = run.info.artifact_uri.removesuffix(end)
        here = _files_uri(self._out)
        if _is_database(self._uri) and place.endswith(f"/{FILES}") and place != here:
            with _connected(self._uri) as connection:
                _relocate(connection, run.info.run_id, here + end)


def _note(text: str, run: str, files: Mapping[str, str]) -> str:
    """Put links to the logged pictures into a description; names of pictures that are not logged are removed."""

    def picture(match: re.Match[str]) -> str:
        if match[1] not in files:
            return ""
        path = quote(f"{REPORT}/{files[match[1]]}", safe="")
        return f"![{match[1]}](get-artifact?path={path}&run_uuid={run})"

    return re.sub(r"\[\[([^\[\]]+)\]\]", picture, text.replace("{run}", run))


# ------------------------------------------------------------------------------------------------ where it is
def import_mlflow() -> None:
    """Import MLflow, quiet and with short timeouts where the user has not set others."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow

    del mlflow
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        for name in ("alembic", "mlflow", "urllib3"):  # they print tracebacks of errors that they also raise
            logging.getLogger(name).setLevel(logging.CRITICAL)


def comparison_line(out: Path, path: str) -> str:
    """Return the lines that tell where a comparison is shown. path: of its address, below that of the server."""
    uri = os.environ.get(URI, "")
    if uri.startswith(("http://", "https://")):
        return f"MLflow, all rows side by side: {_without_password(uri).rstrip('/')}{path}"
    store = shlex.quote(uri or f"sqlite:///{out / DATABASE}")
    given = "" if out == Path("runs") else f" --out {shlex.quote(str(out))}"
    return (
        f"MLflow, all rows side by side: python -m benchmark.ui{given}\n"
        f"or, while mlflow ui --backend-store-uri {store} runs: {LOCAL_SERVER}{path}"
    )


def _client(uri: str) -> MlflowClient:
    import_mlflow()
    if _sqlite_path(uri) is not None:  # a pool keeps connections to a file that has been removed or replaced since
        os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def probe(uri: str) -> None:
    """Raise TrackingError where a database is locked or a server's address does not answer, within seconds.

    MLflow itself tries for minutes.
    """
    path = _sqlite_path(uri)
    if path is not None:
        if path.exists():
            with closing(sqlite3.connect(path, timeout=PROBE_SECONDS / 2, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
        return
    parts = urlsplit(uri)
    port = parts.port or PORTS.get(parts.scheme.partition("+")[0])
    if parts.hostname and port:
        with socket.create_connection((parts.hostname, port), PROBE_SECONDS):
            pass


def describe(error: BaseException, out: Path) -> str:
    """Explain an error in a part of a line: why nothing can be logged, and what to do."""
    chosen = os.environ.get(URI, "")
    where = _without_password(chosen) if chosen else str(out / DATABASE)
    text = one_line(error).partition(" [SQL: ")[0]  # statements speak of what is "deleted" as well
    if isinstance(error, TrackingError):
        return f"MLflow at {where}: {text}"
    if "database is locked" in text:
        return f"the MLflow database {where} is locked by another process: end that, or wait for it"
    if "readonly database" in text:
        return f"the MLflow database {where} cannot be written: it is read-only"
    if "no such table" in text:
        return f"the MLflow database {where} was removed or replaced: a new one is made"
    if "disk is full" in text:
        return f"there is no room for the MLflow database {where}: make room"
    if "not a database" in text or "malformed" in text:
        return f"the MLflow database {where} is damaged: move it away, and a new one is made"
    if any(words in text for words in DELETED):
        return f"a run in MLflow at {where} was deleted: a new one is made"
    hint = f": check {URI}" if chosen else ""
    return f"MLflow at {where} does not answer ({text[:160] or type(error).__name__}){hint}"


def _without_password(uri: str) -> str:
    try:
        parts = urlsplit(uri)
    except ValueError:  # it is no address, and `describe` says so
        return uri
    return uri.replace(parts.netloc, parts.netloc.rpartition("@")[2]) if "@" in parts.netloc else uri


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may have none
        return "unknown"


def _now() -> int:
    return int(time.time() * 1000)


def _last_steps(client: MlflowClient, run: str) -> dict[str, int]:
    """Return the last iteration that the run has of each loss."""
    names = [name for name in client.get_run(run).data.metrics if name.startswith("loss/")]
    return {
        name.removeprefix("loss/"): max(point.step for point in client.get_metric_history(run, name)) for name in names
    }


# ------------------------------------------------------------------------------------------------ the SQLite file
def sqlite_uri(path: Path) -> str:
    """Return the URI of a database; a path with characters that no URI can have is linked from a temporary folder."""
    from sqlalchemy.engine import make_url

    uri = f"sqlite:///{path}"
    if make_url(uri).database == str(path):
        return uri
    folder = Path(tempfile.mkdtemp(prefix="fesbench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "out").symlink_to(path.parent, target_is_directory=True)
    return f"sqlite:///{folder / 'out' / path.name}"


def _sqlite_path(uri: str) -> Path | None:
    """Return the file of an SQLite URI; None for any other."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]) if uri.startswith("sqlite:///") else None


def _is_database(uri: str) -> bool:
    """Return whether a tracking URI names a database.

    Clients of a database decide where files are kept; servers and folders decide themselves.
    """
    return uri.partition(":")[0].partition("+")[0] in DATABASES


def _files_uri(out: Path) -> str:
    return (out.absolute() / FILES).as_uri()


def _local_path(uri: str) -> Path | None:
    """Return the folder of an artifact URI that is on this machine, else None."""
    parts = urlsplit(uri)
    if parts.scheme == "file" and not parts.netloc:
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(uri)


def _create_database(path: Path) -> None:
    """Create MLflow's tables, all or none: MLflow creates them in many steps and cannot resume in between.

    An empty file counts as none: SQLite creates one in place of a removed database.
    """
    if path.exists() and (path.stat().st_size or not path.is_file()):
        return
    with locked(path.parent / ".locks" / path.name, path.name, PROBE_SECONDS):
        if path.exists() and path.stat().st_size:
            return
        for left in path.parent.glob(f"{path.name}.partial*"):
            left.unlink()
        # MLflow caches databases by name, also removed ones.
        partial = path.with_name(f"{path.name}.partial-{uuid4().hex}")
        _client(sqlite_uri(partial)).search_experiments(max_results=1)
        partial.replace(path)


def mend_locations(out: Path) -> None:
    """Point experiments and runs to files beside the database: MLflow's absolute paths break when a folder is moved."""
    database, files = out.absolute() / DATABASE, _files_uri(out)
    with closing(sqlite3.connect(database, timeout=PROBE_SECONDS)) as connection, connection:
        old = [
            location
            for (location,) in connection.execute("SELECT DISTINCT artifact_location FROM experiments")
            if location and location.endswith(f"/{FILES}") and location != files
        ]
        for location in old:
            connection.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) WHERE substr(artifact_uri, 1, ?) = ?",
                (files, len(location) + 1, len(location) + 1, f"{location}/"),
            )
            connection.execute(
                "UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?", (files, location)
            )


def _check_schema(connection: Connection, uri: str) -> None:
    """Raise TrackingError where the tables are of another version of MLflow, which may upgrade them without asking."""
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table("alembic_version"):
        return
    import mlflow.store
    from alembic.script import ScriptDirectory
    from mlflow.version import VERSION

    script = ScriptDirectory(str(Path(mlflow.store.__path__[0], "db_migrations")))
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if version is None or version in script.get_heads():
        return
    if version in {revision.revision for revision in script.walk_revisions()}:
        advice = (
            f"an older MLflow: `mlflow db upgrade {_without_password(uri)}` brings it up to date (make a copy first)"
        )
    else:
        advice = f"a newer MLflow than {VERSION}, which is installed here: upgrade that, or choose another with {URI}"
    raise TrackingError(f"its database was written by {advice}")


def _mend_moved(connection: Connection, out: Path) -> None:
    """Point the runs of a user's own database to this output folder after it was moved."""
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table("runs"):
        return
    here = _files_uri(out)
    locations = connection.execute(
        text("SELECT run_uuid, artifact_uri FROM runs WHERE artifact_uri LIKE :files"), {"files": f"%/{FILES}/%"}
    ).all()
    for run, location in locations:
        folder, _, below = location.rpartition(f"/{FILES}/")
        old = _local_path(location)
        moved = old is not None and not old.exists() and (out / FILES / unquote(below)).exists()
        if moved and f"{folder}/{FILES}" != here:
            _relocate(connection, run, f"{here}/{below}")


@contextmanager
def _connected(uri: str) -> Iterator[Connection]:
    """Connect to MLflow's database for changes that its clients cannot make; the block is one transaction."""
    from sqlalchemy import create_engine

    engine = create_engine(uri)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _relocate(connection: Connection, run: str, location: str) -> None:
    from sqlalchemy import text

    change = text("UPDATE runs SET artifact_uri = :location WHERE run_uuid = :run")
    connection.execute(change, {"location": location, "run": run})


def points(columns: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[int, float]]]]:
    """Yield the losses by name from the columns of a history; NaN (not computed) is left out."""
    steps = [int(step) for step in columns["iteration"]]
    for name, values in columns.items():
        if name != "iteration":
            pairs = zip(steps, map(float, values), strict=True)
            yield str(name), [(step, value) for step, value in pairs if math.isfinite(value)]
