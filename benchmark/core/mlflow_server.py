"""MLflow's web page on this machine: which comparison it opens on, and a server that is ended with the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core.errors import RunFailed, UserError
from benchmark.core.loopback import HOST
from benchmark.core.mlflow_session import (
    DATABASE,
    DEFAULTS,
    EXPERIMENT,
    FILES,
    NAME,
    ROW_TAG,
    URI,
    describe,
    import_mlflow,
    mend_locations,
    probe,
    sqlite_uri,
)
from benchmark.core.mlflow_view import PARENT_TAG, VIEW_TAG, view_key, view_path, view_state

if TYPE_CHECKING:
    from mlflow import MlflowClient

START_SECONDS, STOP_SECONDS = 180.0, 5.0
QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""Environment of the server: no background jobs are needed to show results."""


def find_comparison(out: Path) -> tuple[str, str]:
    """Return the tracking URI of an output folder, and the path of the page to open.

    Raises UserError where its database is missing or cannot be read.
    """
    uri = os.environ.get(URI, "")
    if not uri and not (out / DATABASE).is_file():
        raise UserError(f"{out / DATABASE} is missing: benchmark.run --out {out} makes it")
    try:
        if not uri:
            mend_locations(out)
            uri = sqlite_uri(out.absolute() / DATABASE)
        return uri, opening_path(uri)
    except Exception as error:  # whatever MLflow, a database or a socket raises
        raise UserError(describe(error, out)) from error


def opening_path(uri: str) -> str:
    """Return the path of the address of the latest finished comparison, else of the list of runs."""
    import_mlflow()
    probe(uri)
    from mlflow import MlflowClient

    client, name = MlflowClient(tracking_uri=uri), os.environ.get(NAME) or EXPERIMENT
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return "/"
    number = str(experiment.experiment_id)
    wanted = f"tags.`{ROW_TAG}` = '' and attributes.status = 'FINISHED'"
    suites = client.search_runs([number], wanted, max_results=1, order_by=["attributes.end_time DESC"])
    if not suites:
        return f"/#/experiments/{number}/runs?workflowType=machine_learning"
    key = view_key(suites[0].info.run_id)
    if f"{VIEW_TAG}{key}" not in experiment.tags:
        _add_view(client, number, suites[0].info.run_id)
    return view_path(number, key)


def _add_view(client: MlflowClient, experiment: str, parent: str) -> None:
    """Add the view on a suite that an earlier version logged."""
    rows = client.search_runs([experiment], f"tags.`{PARENT_TAG}` = '{parent}'")
    names = sorted({name for row in rows for name in row.data.metrics})
    headline = [(name, name) for name in names if "/" not in name]
    view = view_state(parent, headline, names, "tags.`mlflow.runName`")
    client.set_experiment_tag(experiment, f"{VIEW_TAG}{view_key(parent)}", view)


@contextmanager
def served(uri: str, port: int, files: Path) -> Iterator[str]:
    """Serve MLflow on loopback while the block runs; yield its address.

    files: where experiments of its own would keep their files. Raises RunFailed where it does not start.
    """
    address = f"http://{HOST}:{port}"
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--host", HOST, "--port", str(port),
        "--workers", "1", "--default-artifact-root", files.absolute().as_uri(), "--no-serve-artifacts",
    ]  # fmt: skip
    environment = {**DEFAULTS, **QUIET, **os.environ}
    environment.pop(URI, None)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait(process, address)
            yield address
        except _StartError as error:
            log.seek(0)
            lines = log.read().decode(errors="replace").splitlines()
            last = next((line for line in reversed(lines) if line.strip()), "no message")
            raise RunFailed(f"MLflow's server does not start ({error}): {last[:300]}") from None
        finally:
            _end(process)


class _StartError(Exception):
    """A server that does not answer; the message says why."""


def _wait(process: subprocess.Popen[bytes], address: str) -> None:
    late = time.monotonic() + START_SECONDS
    while time.monotonic() < late:
        if process.poll() is not None:
            raise _StartError(f"exit status {process.returncode}")
        with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise _StartError(f"no answer within {START_SECONDS:g} s")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and the processes that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)


def default_files(out: Path) -> Path:
    """Return where MLflow keeps the files of an output folder."""
    return out / FILES
