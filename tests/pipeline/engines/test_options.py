"""The options of engines, as every command takes them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmark.core.cli import Parser
from benchmark.core.errors import UserError
from benchmark.gate import kernels
from benchmark.pipeline.engines.options import (
    LOCAL,
    EngineOptions,
    add_engine_arguments,
    check_engine,
    engine_options,
)
from benchmark.pipeline.request import RunOptions, check_options


def parsed(*words: str, object_store: bool = True) -> EngineOptions:
    command = Parser("benchmark.test", "A test.")
    if not object_store:
        command.add_argument("--store", type=Path)
    add_engine_arguments(command, object_store)
    return engine_options(command.parse_args(words))


def test_options_are_read() -> None:
    assert parsed() == LOCAL
    assert not LOCAL.is_remote
    ray = parsed("--engine", "ray", "--address", "head:6379", "--gpu-share", "0.5", "--store", "s3://b/x", "--shared")
    assert ray == EngineOptions("ray", "head:6379", True, "s3://b/x", "", 0.5)
    slurm = parsed("--engine", "slurm", "--slurm", "partition=gpu", "--slurm", "time=2-0", "--processor", "any")
    assert slurm == EngineOptions("slurm", slurm={"partition": "gpu", "time": "2-0"}, processor="any")
    for options in (ray, slurm):
        check_engine(options)
    assert parsed("--store", "results.json", object_store=False) == LOCAL


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["--slurm", "partition"], "--slurm 'partition': NAME=VALUE is wanted"),
        (["--engine", "slurm", "--slurm", "partitoin=gpu"], r"unknown option of sbatch 'partitoin'.*'partition'\?"),
        (["--slurm", "partition=gpu"], "--slurm is for --engine slurm"),
        (["--address", "head:6379"], "--address is for --engine ray"),
        (["--engine", "ray", "--address", "head"], "--address must be auto or HOST:PORT, not 'head'"),
        (["--engine", "ray", "--address", "head:0"], "--address must be auto or HOST:PORT, not 'head:0'"),
        (["--engine", "ray", "--address", "head:65536"], "--address must be auto or HOST:PORT, not 'head:65536'"),
        (["--engine", "slurm", "--slurm", "time=nan"], "--slurm time=nan: minutes, H:MM:SS or D-HH:MM:SS are wanted"),
        (["--engine", "slurm", "--slurm", "time=0:00"], "--slurm time=0:00: minutes, H:MM:SS or D-HH:MM:SS are wanted"),
        (["--engine", "slurm", "--slurm", f"time={'9' * 5000}"], "--slurm time=9{59}.*: minutes, H:MM:SS"),
        (["--slurm", "time=1", "--slurm", "time=2"], "--slurm time= is given twice: '1' and '2'"),
        (["--store", "memory://x"], r"--store 'memory://x': s3://BUCKET/FOLDER is wanted"),
        (["--engine", "slurm", "--gpu-share", "0.5"], "--gpu-share is for --engine ray"),
        (["--processor", "any"], "--processor is for --engine ray and --engine slurm"),
        (["--gpu-share", "0"], "--gpu-share must be above 0 and at most 1, not 0"),
        (["--gpu-share", "nan"], "--gpu-share must be above 0 and at most 1, not nan"),
    ],
)
def test_what_does_not_fit_is_one_line(words: list[str], wrong: str) -> None:
    with pytest.raises(UserError, match=wrong) as error:
        check_engine(parsed(*words))
    assert "\n" not in str(error.value)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.pipeline.engines.options.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"--engine slurm needs submitit: pip install 'fesbench\[slurm\]'"):
        check_engine(EngineOptions("slurm"))
    check_engine(LOCAL)


def test_a_store_is_opened_as_the_options_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(sbatch.parent), prepend=os.pathsep)

    def shared(name: str, engine: EngineOptions) -> bool:
        return check_options(RunOptions("table1", device="cpu", out=tmp_path / name, engine=engine))[1].shared

    assert not shared("alone", LOCAL)
    assert shared("with others", EngineOptions(shared=True))
    assert shared("ray", EngineOptions("ray"))
    assert shared("objects", EngineOptions(store=(tmp_path / "objects").as_uri()))
    request, _ = check_options(
        RunOptions("table1", device="cuda", out=tmp_path / "gpus", engine=EngineOptions("slurm"))
    )
    assert request.device == "cuda"  # of the nodes, whatever this machine has


def test_options_of_a_probe_are_json() -> None:
    """It runs on this machine."""
    plain = kernels._plain(RunOptions("smoke", engine=EngineOptions("ray")))
    assert "engine" not in plain
    json.dumps({**plain, "out": ""})
