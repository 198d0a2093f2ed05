"""A server of MLflow with PostgreSQL as its store, and two suites that log to it at once while it is killed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmark.core import mlflow_session, tracking
from benchmark.core.mlflow_server import _wait
from benchmark.core.mlflow_session import NAME, URI
from benchmark.core.mlflow_view import PARENT_TAG, VIEW_TAG, view_key
from benchmark.core.tracking import MlflowTracker, deliver_missed
from tests.core.test_tracking import FACE, FILE, PLAN, ROWS, history, journals

pytestmark = pytest.mark.postgres
USER = "postgres"
ABSENT = "there is no PostgreSQL: apt-get install postgresql"
PLANS = (PLAN, PLAN[::-1])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def programs() -> Path:
    """The folder of PostgreSQL's programs, as Debian has it."""
    known = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    known += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    usable = [folder for folder in known if (folder / "initdb").is_file()]
    if not usable:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(ABSENT)
    return usable[-1]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    """The address of a fresh PostgreSQL, run by another user than root, which it refuses."""
    folder, port = programs(), free_port()
    home = Path("/tmp") / f"fesbench-postgres-{os.getpid()}"  # below the test's own, no other user may enter
    home.mkdir(mode=0o700)
    drop: dict[str, int | str | Sequence[int]] = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam(USER)
        os.chown(home, user.pw_uid, user.pw_gid)
        drop = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": home, **drop}
    subprocess.run(
        [folder / "initdb", "-D", home / "data", "-U", "fesbench", "-A", "trust", "--no-sync"], check=True, **quiet
    )  # type: ignore[call-overload]
    options = ["-h", "127.0.0.1", "-p", str(port), "-k", str(home), "-c", "fsync=off"]
    server = subprocess.Popen([folder / "postgres", "-D", home / "data", *options], **quiet)  # type: ignore[call-overload]
    try:
        ready = [folder / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        late = time.monotonic() + 60
        while subprocess.run(ready, check=False).returncode:
            assert time.monotonic() < late
            time.sleep(0.1)
        yield f"postgresql://fesbench@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # a fast shutdown
        server.wait(30)
        shutil.rmtree(home)


class MlflowServer:
    """A server that keeps files itself, as one of a laboratory does."""

    def __init__(self, store: str, files: Path) -> None:
        self.address = f"http://127.0.0.1:{free_port()}"
        self._command = [
            sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--host", "127.0.0.1",
            "--port", self.address.rpartition(":")[2], "--workers", "1", "--artifacts-destination", str(files),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self._log = files.with_name("server.log")

    def start(self) -> None:
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        environment.pop(URI, None)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=environment, start_new_session=True, stdout=log, stderr=log
            )
        try:
            _wait(self._process, self.address)
        except Exception as error:
            error.add_note(self._log.read_text(errors="replace")[-2000:])
            raise

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def server(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowServer]:
    server = MlflowServer(database, tmp_path / "files")
    monkeypatch.setenv(URI, server.address)
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.setattr(tracking, "RETRY_SECONDS", 0.5)
    monkeypatch.setattr(mlflow_session, "PROBE_SECONDS", 2.0)
    try:
        server.start()
        yield server
    finally:
        server.kill()


class Suite:
    """A suite of two rows that share a training of 6 iterations, in an output folder of its own."""

    def __init__(self, out: Path, plan: str) -> None:
        out.mkdir(exist_ok=True)
        self.out, self.plan, self.warnings = out, plan, list[str]()
        self.tracker = MlflowTracker(out, plan, f"suite {plan[:4]}", ROWS, dict, "command", self.warnings.append)
        self.tracker.start()

    def train(self, end: int) -> None:
        self.tracker.losses("t0")(history(end))

    def finish(self) -> None:
        for row in ROWS:
            self.tracker.row(row.name, history(6), {"fid": 400.3, "ca": 12.5})
        folder = self.out / "reports" / "r"
        folder.mkdir(parents=True)
        for name in (FILE, FACE):
            (folder / name).write_text(name)
        self.tracker.finish("reports/r", {"table": FILE, "face": FACE}, {"accuracy": 50.0}, ["face"])
        self.tracker.close()


def logged(client: MlflowClient, plan: str) -> int:
    """The last iteration that both rows of a suite have."""
    experiment = client.get_experiment_by_name("fesbench")
    if experiment is None:
        return 0
    runs = client.search_runs([experiment.experiment_id], f"tags.`fesbench.plan` = '{plan}'")
    ends = [run.data.metrics.get("loss/g", 0.0) * 2 for run in runs if PARENT_TAG in run.data.tags]
    return int(min(ends)) if len(ends) == len(ROWS) else 0


def wait_for(client: MlflowClient, plan: str, end: int) -> None:
    late = time.monotonic() + 60
    while logged(client, plan) < end:
        assert time.monotonic() < late
        time.sleep(0.2)


def check_complete(client: MlflowClient, plan: str) -> None:
    """Everything of a suite is there, once."""
    experiment = client.get_experiment_by_name("fesbench")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], f"tags.`fesbench.plan` = '{plan}'")
    (parent,) = (run for run in runs if PARENT_TAG not in run.data.tags)
    assert sorted(str(run.info.run_name) for run in runs) == sorted([f"suite {plan[:4]}", *(row.name for row in ROWS)])
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert parent.data.metrics == {"accuracy": 50.0}
    assert [file.path for file in client.list_artifacts(parent.info.run_id, "report")] == [f"report/{FILE}"]
    assert VIEW_TAG + view_key(parent.info.run_id) in experiment.tags
    for run in runs:
        if run is parent:
            continue
        assert run.data.tags[PARENT_TAG] == parent.info.run_id
        assert (run.data.metrics["fid"], run.data.metrics["ca"]) == (400.3, 12.5)
        for name, first in (("g", 1), ("d", 2)):
            points = client.get_metric_history(run.info.run_id, f"loss/{name}")
            assert [point.step for point in points] == list(range(first, 7))
        assert len(client.get_metric_history(run.info.run_id, "fid")) == 1


def test_two_suites_at_once_while_the_server_is_killed_and_started_again(server: MlflowServer, tmp_path: Path) -> None:
    client = MlflowClient(server.address)
    suites = [Suite(tmp_path / f"out-{number}", plan) for number, plan in enumerate(PLANS)]
    first, second = suites
    for suite in suites:
        suite.train(2)
    for suite in suites:
        wait_for(client, suite.plan, 2)
    server.kill()
    started = time.monotonic()
    for suite in suites:
        suite.train(4)
    first.finish()  # while nothing answers: a journal keeps it
    assert time.monotonic() - started < 60
    assert len(journals(first.out)) == 1
    server.start()
    second.train(5)
    wait_for(client, second.plan, 5)  # the same call goes on logging
    second.finish()
    check_complete(client, second.plan)
    assert not journals(second.out)
    for _ in range(2):
        deliver_missed(first.out, first.plan, first.warnings.append)  # the next call delivers
        check_complete(client, first.plan)
    assert not journals(first.out)
    check_complete(client, second.plan)
    assert [len(suite.warnings) for suite in suites] == [1, 1]
    assert all(f"MLflow at {server.address} does not answer" in suite.warnings[0] for suite in suites)
