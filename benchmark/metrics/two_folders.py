"""Compare two folders of pictures, or statistics of them (`benchmark.score --real --fake`)."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.cli import list_faults, writable_folder
from benchmark.core.errors import UserError
from benchmark.core.files import fault_of, folder_fault_of
from benchmark.core.progress import Reporter, counted
from benchmark.data.picture_folder import BrokenFile, FolderContent, PictureSet, examine, find_pictures
from benchmark.metrics.feature_files import SUFFIX, FeatureSet, is_feature_file, read_features, write_features
from benchmark.metrics.features import FLOOR, FeatureExtractor, ensure_weights, open_extractor
from benchmark.metrics.folder_scores import ScoreResult, extract_features, measure
from benchmark.training.device import choose_device


@dataclass(frozen=True)
class FolderOptions:
    """The options of `benchmark.score` for two folders."""

    real: Path
    fake: Path | None
    save_stats: Path | None
    recursive: bool
    batch: int | None
    features: str
    fid_weights: Path | None
    allow_other_weights: bool
    allow_small: bool
    device: str
    quiet: bool


def score_folders(options: FolderOptions) -> tuple[ScoreResult | None, Sequence[str]]:
    """Check the options, then measure; returns the scores, None without --fake, and notes.

    Raises UserError.
    """
    if options.batch is not None and options.batch < 1:
        raise UserError(f"--batch must be at least 1, not {options.batch}")
    sides = {"real": options.real} | ({"fake": options.fake} if options.fake is not None else {})
    _check_save(options.save_stats, options.real)
    contents = _find_all({role: path for role, path in sides.items() if not is_feature_file(path)}, options)
    weights = (options.features, options.fid_weights, options.allow_other_weights)
    ensure_weights(*weights)
    extractor = open_extractor(*weights, choose_device(options.device), options.batch)
    sets: dict[str, PictureSet | FeatureSet] = {}
    sets |= {role: _read_file(role, path, extractor, options) for role, path in sides.items() if role not in contents}
    reporter = Reporter(options.quiet)
    sets |= _examined(contents, reporter)
    notes = [note for content in contents.values() for note in content.notes]
    real, truth = sets["real"], None
    if options.save_stats is not None and isinstance(real, PictureSet):
        truth = extract_features(real, extractor, reporter)
        write_features(options.save_stats, truth, extractor)
        sys.stderr.write(f"{options.save_stats}: {extractor.column} features of {truth.images} pictures\n")
        if "fake" not in sets:
            return None, notes
    result = measure(real, sets["fake"], extractor, reporter, truth)
    result = dataclasses.replace(result, notes=(*notes, *result.notes))
    return result, result.notes


def _check_save(path: Path | None, real: Path) -> None:
    if path is None:
        return
    if path.suffix.lower() != SUFFIX:
        raise UserError(f"--save-stats {path}: it is written as {SUFFIX}, so give it a name that ends so")
    if is_feature_file(real):
        raise UserError(f"--save-stats {path}: --real {real} is a file of statistics already")
    if (fault := fault_of(path)) not in ("", "is missing"):
        raise UserError(f"--save-stats {path} {fault}")
    if fault := folder_fault_of(path.parent):
        raise UserError(f"--save-stats {path} cannot be written: {path.parent} {fault}")
    writable_folder(path.parent, "--save-stats")


def _find_all(folders: dict[str, Path], options: FolderOptions) -> dict[str, FolderContent]:
    """List the picture files of all folders. Raises UserError where they are too few."""
    contents = {role: find_pictures(folder, f"--{role}", options.recursive) for role, folder in folders.items()}
    for role, content in contents.items():
        _check_count(role, content.folder, len(content.paths), options.allow_small)
    return contents


def _read_file(role: str, path: Path, extractor: FeatureExtractor, options: FolderOptions) -> FeatureSet:
    features = read_features(path, f"--{role}", extractor)
    if features.images is not None:
        _check_count(role, path, features.images, options.allow_small)
    return features


def _check_count(role: str, folder: Path, count: int, allow_small: bool) -> None:
    if count < 2:
        raise UserError(f"--{role} {folder} has {count} picture: a distribution needs at least 2")
    if count < FLOOR and not allow_small:
        raise UserError(
            f"--{role} {folder} has {count} pictures; below {FLOOR} a Fréchet distance mostly measures how few there "
            "are (--allow-small measures all the same)"
        )


def _examined(contents: dict[str, FolderContent], reporter: Reporter) -> dict[str, PictureSet]:
    """Decode every file of all folders once. Raises UserError with the list of files that cannot be measured."""
    sets: dict[str, PictureSet] = {}
    broken: list[BrokenFile] = []
    for role, content in contents.items():
        with reporter.bar(f"check {role}", len(content.paths)) as bar:
            pictures, unusable = examine(content, counted(bar))
        broken += unusable
        if pictures is not None:
            sets[role] = pictures
    if broken:
        list_faults("broken", [f"{file.path}: {file.reason}" for file in broken])
        total = sum(len(content.paths) for content in contents.values())
        raise UserError(f"{len(broken)} of {total} files cannot be read: repair or remove them")
    return sets
