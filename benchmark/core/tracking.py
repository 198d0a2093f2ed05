"""MLflow: a suite is a parent run, each row and seed a child; parameters, losses, metrics, figures, environment.

The standard variables win: MLFLOW_TRACKING_URI over the SQLite file in the output folder, MLFLOW_EXPERIMENT_NAME over
`fesbench`. A call that goes on with an interrupted suite goes on with its runs, and logs no loss twice.
"""

from __future__ import annotations

import getpass
import os
import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmark.core.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

TAG = "fesbench.plan"
ROW_TAG = "fesbench.row"
FAILED_TAG = "fesbench.failed"
EXPERIMENT = "fesbench"
BATCH = 900
"""MLflow takes at most 1,000 metrics at once."""


@dataclass(frozen=True)
class TrackedRow:
    """A child run: which row and seed, which training it shares, and what to log as its parameters."""

    name: str
    training: str
    parameters: Mapping[str, Any]


def is_local(uri: str) -> bool:
    """Whether what is logged to a tracking URI stays on this machine: a file, a folder, a database that is a file, or
    none (then it is the output folder's).
    """
    found = urlsplit(uri)
    if not found.scheme:
        return not uri.startswith("databricks")
    return found.scheme in {"sqlite", "file"} and not found.netloc


class Tracker:
    """Logs one suite. Nothing is imported or opened before the first thing is logged."""

    def __init__(
        self,
        out: Path,
        plan: str,
        title: str,
        rows: list[TrackedRow],
        parameters: Callable[[], Mapping[str, Any]],
        command: str,
    ) -> None:
        """parameters: of the suite's run, asked for when it is made."""
        self._out, self._plan, self._title = out, plan, title
        self._rows, self._parameters, self._command = rows, parameters, command
        self._client: MlflowClient | None = None
        self._parent = ""
        self._children: dict[str, str] = {}
        self._logged: dict[str, int] = {}

    def losses(self, training: str) -> Callable[[pd.DataFrame], None]:
        """Where the trainer of that key sends its whole history; what is new in it is logged to every row that shares
        it.
        """

        def sink(history: pd.DataFrame) -> None:
            client = self._open()
            for row in self._rows:
                if row.training == training:
                    self._log_losses(client, row.name, history)

        return sink

    def row(
        self, name: str, history: pd.DataFrame, metrics: Mapping[str, float], failures: Collection[str] = ()
    ) -> None:
        """Log a finished row: the losses not logged yet, its metrics, how its training failed (a tag). Ends its run."""
        from mlflow.entities import Metric

        client = self._open()
        if failures:
            client.set_tag(self._children[name], FAILED_TAG, "; ".join(failures)[:5000])
        self._log_losses(client, name, history)
        now = int(time.time() * 1000)
        client.log_batch(self._children[name], [Metric(key, value, now, 0) for key, value in metrics.items()])
        client.set_terminated(self._children[name], "FINISHED")

    def finish(
        self, files: Mapping[str, Path], metrics: Mapping[str, float], private: Collection[str] = frozenset()
    ) -> str:
        """Log the report's files and the suite's own metrics; the parent run is then finished. Returns its id.

        private: names of files that may not leave this machine; they go to a store of its own only.
        """
        from mlflow.entities import Metric

        client = self._open()
        now = int(time.time() * 1000)
        client.log_batch(self._parent, [Metric(key, value, now, 0) for key, value in metrics.items()])
        stays = is_local(os.environ.get("MLFLOW_TRACKING_URI", ""))
        for name, path in files.items():
            if stays or name not in private:
                client.log_artifact(self._parent, str(path), "report")
        client.set_terminated(self._parent, "FINISHED")
        return self._parent

    def interrupted(self) -> None:
        """Mark what is open as killed (a later call takes it up again)."""
        if self._client is not None:
            for run in (*self._children.values(), self._parent):
                if self._client.get_run(run).info.status == "RUNNING":
                    self._client.set_terminated(run, "KILLED")

    def _log_losses(self, client: MlflowClient, name: str, history: pd.DataFrame) -> None:
        from mlflow.entities import Metric

        done = self._logged.get(name, -1)
        new = history[history["iteration"] > done]
        now = int(time.time() * 1000)
        points = [
            Metric(f"loss/{loss}", float(value), now, int(step))
            for loss in new.columns.drop("iteration")
            for step, value in zip(new["iteration"], new[loss], strict=True)
            if value == value  # NaN: not computed at that iteration
        ]
        for start in range(0, len(points), BATCH):
            client.log_batch(self._children[name], points[start : start + BATCH])
        if len(new):
            self._logged[name] = int(new["iteration"].iloc[-1])

    def _open(self) -> MlflowClient:
        if self._client is not None:
            return self._client
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        import logging

        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        database = (self._out / "mlflow.db").absolute()
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{database}"
        try:
            if "MLFLOW_TRACKING_URI" not in os.environ:
                _make_database(database)
            client = MlflowClient(tracking_uri=uri)
            experiment = self._experiment(client)
            self._parent = self._take_up(client, experiment, "", self._title, {}, self._parameters())
            for row in self._rows:
                tags = {"mlflow.parentRunId": self._parent}
                run = self._take_up(client, experiment, row.name, row.name, tags, row.parameters)
                self._children[row.name] = run
                self._logged[row.name] = _last_step(client, run)
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise UserError(
                f"MLflow at {uri} does not answer ({' '.join(str(error).split())[:200]}): check MLFLOW_TRACKING_URI"
            ) from error
        self._client = client
        return client

    def _experiment(self, client: MlflowClient) -> str:
        """The experiment's id. Files of a new one lie beside the database, wherever the command was called."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        local = "MLFLOW_TRACKING_URI" not in os.environ
        place = (self._out / "mlflow-files").absolute().as_uri() if local else None
        # Without this tag the web page opens on views for language models.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        return str(client.create_experiment(name, place, tags))

    def _take_up(
        self,
        client: MlflowClient,
        experiment: str,
        row: str,
        name: str,
        tags: Mapping[str, str],
        parameters: Mapping[str, Any],
    ) -> str:
        """The unfinished run of this plan and row, or a new one."""
        wanted = f"tags.`{TAG}` = '{self._plan}' and tags.`{ROW_TAG}` = '{row}' and attributes.status != 'FINISHED'"
        found = client.search_runs([experiment], wanted, max_results=1)
        if found:
            run = found[0].info.run_id
            client.update_run(run, status="RUNNING")
            return str(run)
        from mlflow.entities import Param

        source = {"mlflow.source.name": self._command, "mlflow.source.type": "LOCAL", "mlflow.user": getpass.getuser()}
        made = client.create_run(experiment, run_name=name, tags={TAG: self._plan, ROW_TAG: row, **source, **tags})
        client.log_batch(made.info.run_id, params=[Param(key, str(value)[:6000]) for key, value in parameters.items()])
        return str(made.info.run_id)


class Behind:
    """Logs losses in a thread, so that whoever hands them over waits neither for a database nor for a server."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._queue: queue.SimpleQueue[tuple[str, pd.DataFrame] | None] = queue.SimpleQueue()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def losses(self, training: str, history: pd.DataFrame) -> None:
        """Hand over what is new in a history. Raises what an earlier one has met."""
        if self._error is not None:
            raise self._error
        self._queue.put((training, history))

    def close(self, patience: float | None = None) -> None:
        """Wait until all is logged, for `patience` seconds at most. Raises what the thread has met."""
        self._queue.put(None)
        self._thread.join(patience)
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (handed := self._queue.get()) is not None:
            training, history = handed
            try:
                self._tracker.losses(training)(history)
            except Exception as error:  # it is the other thread's to tell
                self._error = error
                return


def _make_database(path: Path) -> None:
    """MLflow's tables, whole or not at all: it makes them in many steps, and cannot go on from the middle of them."""
    if path.exists():
        return
    from mlflow import MlflowClient

    for left in path.parent.glob(f"{path.name}.partial*"):
        left.unlink()
    partial = path.with_name(f"{path.name}.partial")
    MlflowClient(tracking_uri=f"sqlite:///{partial}").search_experiments(max_results=1)
    partial.replace(path)


def _last_step(client: MlflowClient, run: str) -> int:
    """The last iteration whose losses the run has, -1 for none."""
    names = [name for name in client.get_run(run).data.metrics if name.startswith("loss/")]
    return max((point.step for name in names for point in client.get_metric_history(run, name)), default=-1)
