"""Worker processes: each has its own scene, renders shots until none is left, and writes files atomically."""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.core.errors import RunFailed
from benchmark.rendering.shots import SetSettings, ShotName, ShotRenderer

PARTIAL_FOLDER = ".shots"
"""Folder in a set's folder with the rows of each finished shot, until the table is written."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary path beside `path`, then rename the file to `path`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save_shot(renderer: ShotRenderer, shot: ShotName, folder: Path) -> None:
    """Render a shot and write its pictures, then its rows."""
    from PIL import Image

    rows = []
    for picture, row in renderer.render(shot):
        name = f"{row['face_id']}.png"
        write_atomically(folder / name, partial(Image.fromarray(picture).save, format="PNG"))
        rows.append(row)
    write_atomically(folder / PARTIAL_FOLDER / shot.record, lambda part: part.write_text(json.dumps(rows)))


def _portions(shots: Sequence[ShotName], workers: int) -> list[list[ShotName]]:
    """Group shots by identity, whose head is costly to build; split groups where workers outnumber identities."""
    by_identity: dict[int, list[ShotName]] = {}
    for shot in shots:
        by_identity.setdefault(shot.identity, []).append(shot)
    cuts = -(-workers // max(1, len(by_identity)))
    return [portion for group in by_identity.values() for portion in (group[i::cuts] for i in range(cuts)) if portion]


def _next(tasks: Any, parent: Any) -> list[ShotName] | None:
    while parent is None or parent.is_alive():
        try:
            portion: list[ShotName] | None = tasks.get(timeout=2)
            return portion
        except queue.Empty:
            continue
    return None


def _work(settings: SetSettings, out: Path, tasks: Any, done: Any) -> None:
    """Run a worker process: render portions until none is left or the parent has died."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    try:
        renderer = ShotRenderer(settings)
        done.put(("ready", ""))
        while (portion := _next(tasks, parent)) is not None:
            for shot in portion:
                if parent is not None and not parent.is_alive():
                    return
                save_shot(renderer, shot, out)
                done.put(("shot", shot.record))
        done.put(("left", ""))
    except Exception as error:
        done.put(("failed", f"{type(error).__name__}: {error}"))


def run_workers(
    settings: SetSettings, out: Path, shots: Sequence[ShotName], workers: int, report: Callable[[], None]
) -> None:
    """Render `shots` into `out` with `workers` processes; `report` is called after each shot. Raises RunFailed."""
    context = multiprocessing.get_context("spawn")
    tasks, done = context.Queue(), context.Queue()
    portions = _portions(shots, workers)
    workers = min(workers, len(portions))
    for portion in [*portions, *[None] * workers]:
        tasks.put(portion)
    processes = [context.Process(target=_work, args=(settings, out, tasks, done), daemon=True) for _ in range(workers)]
    for process in processes:
        process.start()
    try:
        left = 0
        while left < workers:
            try:
                kind, message = done.get(timeout=2)
            except queue.Empty:
                if any(process.exitcode not in (None, 0) for process in processes):
                    raise RunFailed(
                        "a worker process died (out of memory?); the same command goes on where it stopped"
                    ) from None
                continue
            if kind == "failed":
                raise RunFailed(f"rendering failed: {message}")
            left += kind == "left"
            if kind == "shot":
                report()
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
