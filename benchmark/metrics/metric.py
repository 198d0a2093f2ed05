"""What a metric is: how it is called, which way is better, what it needs, how it is measured and averaged.

Every metric is an object in a file of its own, and `registry.METRICS` is the only list of them: scoring, tables in all
formats, the scores of two folders, MLflow and docs/metrics.md iterate over it. There are three kinds:

- `PairMetric`: a number for each edit, from the edit and one other picture (PSNR, SSIM);
- `EditMetric`: a number for each edit, from whatever else is known of it (CA);
- `SetMetric`: a number for all edits together, from their features and those of the real pictures (FID, KID).
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.features import FLOOR
from benchmark.protocol import Subset

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.data.faceset import FaceSet
    from benchmark.metrics.readings import EditReadings

Images = NDArray[np.uint8]
Values = NDArray[np.float64]
Features = NDArray[np.floating]
Direction = Literal["lower", "higher", "one"]
"""Which way is better; `one`: the nearer to 1, the better."""
Per = Literal["edit", "set"]
Partner = Literal["source", "reference", "truth"]
"""The picture that an edit is compared with: the columns of a list of edits."""
View = Literal["whole", "cropped", "described"]
"""Features of whole pictures, of tight face boxes (`crop`), or of faces for the identity network."""
Need = Literal[
    "source picture", "reference picture", "true picture", "features", "landmarks", "judge", "action units",
    "landmarks read", "identity network",
]  # fmt: skip

PARTNERS: dict[Partner, Need] = {
    "source": "source picture", "reference": "reference picture", "truth": "true picture",
}  # fmt: skip
REASONS: dict[Need, str] = {
    "true picture": "the data set has no picture of the same person, camera and gaze with the target expression",
    "landmarks": "the data set has no landmarks, and the crop is drawn round them",
    "action units": "no action units were measured in the training pictures, from which the reader could learn them, "
    "or in those that edits are compared with",
    "landmarks read": "no landmarks are known of the training pictures, from which the reader could learn them, "
    "or of those that edits are compared with",
    "identity network": "dlib's network is not installed (python -m pip install 'fesbench[photos]'), or no face has "
    "landmarks to cut it out by",
}
"""Why a metric has no value where what it needs is missing."""


@dataclass(frozen=True, kw_only=True)
class MetricDescription:
    """How a metric is called and printed, and what its numbers mean."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "strict": True, "extra": "forbid", "use_attribute_docstrings": True
    }  # fmt: skip

    key: str
    """Its name in JSON, MLflow and `per-edit.parquet`."""
    label: str
    """Its heading in tables, in the features that were used."""
    direction: Direction
    """Which way is better."""
    definition: str
    """What it measures, in a sentence without a full stop."""
    per: Per
    """Whether each edit has the number, or all of them together."""
    decimals: int = 2
    """How many are printed."""
    unit: str = ""
    """Of its numbers, or empty."""
    paper: Mapping[Subset, str] = field(default_factory=dict)
    """The column of the paper's tables that it stands beside, by the row's subset; other subsets are left out."""


@dataclass(frozen=True)
class FeaturePairs:
    """Features of N edits and of their sources, N x D each, in a network of one's own; NaN for pictures without."""

    edits: Features
    sources: Features


@dataclass(frozen=True)
class Edits:
    """The edits of one row, and what a metric may compare them with.

    images: N x S x S x 3 uint8. table: N rows as `data.edits.EditList.make` gives them; `source`, `reference` and
    `truth` are rows of `faces`, -1 where there is none. judged: N, the index in `EXPRESSIONS` that the judge names.
    """

    images: Images
    table: pd.DataFrame
    faces: FaceSet
    judged: NDArray[np.int64]
    readings: EditReadings | None = None
    """What the reader and the identity network see."""
    features: FeaturePairs | None = None
    """Where they are measured in a network of one's own."""

    @property
    def lacking(self) -> frozenset[Need]:
        """What none of the edits has of that which metrics may need."""
        read, lacking = self.readings, set[Need]()
        true = self.table["truth"].to_numpy()
        true = true[true >= 0]
        if not len(true):
            lacking.add("true picture")
        if read is None or np.isnan(read.units).all() or np.isnan(self.faces.measured_units[true]).all():
            lacking.add("action units")
        if read is None or np.isnan(read.landmarks).all() or np.isnan(self.faces.measured_landmarks[true]).all():
            lacking.add("landmarks read")
        if read is None or np.isnan(read.faces).all():
            lacking.add("identity network")
        return frozenset(lacking)


@dataclass(frozen=True)
class Measurement:
    """A number, or why there is none."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Metric(MetricDescription, ABC):
    """What all kinds share."""

    version: int = 1
    """Raise it when the same edits would get another number; it is part of the key of the scores."""

    @property
    @abstractmethod
    def needs(self) -> tuple[Need, ...]:
        """What it cannot be measured without, beside the edits."""

    def describe(self, column: str) -> MetricDescription:
        """Describe it for features whose Fréchet distance is called `column` (FID, FD[lite0], ...)."""
        names = (entry.name for entry in dataclasses.fields(MetricDescription))
        return MetricDescription(**{**{name: getattr(self, name) for name in names}, "label": self.heading(column)})

    def heading(self, column: str) -> str:
        """Its label in the features whose Fréchet distance is called `column`."""
        return self.label


def mean(values: Values) -> float:
    """The mean of at least one value."""
    return float(values.mean())


@dataclass(frozen=True, kw_only=True)
class PerEditMetric(Metric):
    """A number for each edit and their average."""

    per: Per = "edit"
    average: Callable[[Values], float] = mean
    """Of the edits that have a value, at least one."""
    unmeasurable: str = "none of the edits can be measured"
    """Why it has no value where nothing is missing."""

    @abstractmethod
    def values(self, edits: Edits) -> Values:
        """Measure each edit: N values, NaN where there is none."""

    def summary(self, values: Values, lacking: Collection[Need] = tuple(REASONS)) -> Measurement:
        """Average over the edits that have a value. lacking: what may be the reason if none has."""
        known = values[~np.isnan(values)]
        if len(known):
            return Measurement(self.average(known))
        reasons = [REASONS[need] for need in self.needs if need in lacking and need in REASONS]
        return Measurement(None, "; ".join(reasons) or self.unmeasurable)


@dataclass(frozen=True, kw_only=True)
class PairMetric(PerEditMetric):
    """Compares each edit with one other picture. Also measured between folders, by equal names, if that is the truth.

    compare: two N x H x W x 3 uint8 arrays -> N values. smallest_side: pixels that H and W must have at least.
    """

    against: Partner
    compare: Callable[[Images, Images], Values]
    smallest_side: int = 1

    @property
    def needs(self) -> tuple[Need, ...]:
        """The other picture."""
        return (PARTNERS[self.against],)

    def values(self, edits: Edits) -> Values:
        """Compare each edit with its partner; NaN where it has none."""
        partners = edits.table[self.against].to_numpy()
        known = np.flatnonzero(partners >= 0)
        values = np.full(len(partners), np.nan)
        if len(known):
            values[known] = self.compare(edits.images[known], edits.faces.images[partners[known]])
        return values


@dataclass(frozen=True, kw_only=True)
class EditMetric(PerEditMetric):
    """Measures each edit by whatever is known of it. required: what it needs."""

    measure: Callable[[Edits], Values]
    required: tuple[Need, ...] = ()

    @property
    def needs(self) -> tuple[Need, ...]:
        """As stated."""
        return self.required

    def values(self, edits: Edits) -> Values:
        """Measure each edit."""
        return self.measure(edits)


@dataclass(frozen=True, kw_only=True)
class SetMetric(Metric):
    """A distance between the features of the edits (N x D) and of the real pictures (M x D)."""

    per: Per = "set"
    distance: Callable[[Features, Features], float]
    distance_of_moments: Callable[[Values, Values, Values, Values], float] | None = None
    """The same from mean (D) and covariance (D x D) of either set, where they are enough."""
    view: View = "whole"
    label_elsewhere: str = ""
    """Its label in other features than the published Inception's, "{}" for their name: FD{} becomes FD[lite0]."""

    @property
    def needs(self) -> tuple[Need, ...]:
        """Features, and landmarks for the crop."""
        needs: dict[View, tuple[Need, ...]] = {"cropped": ("features", "landmarks"), "described": ("identity network",)}
        return needs.get(self.view, ("features",))

    def heading(self, column: str) -> str:
        """Its own label only in the features of FID."""
        if column == "FID":
            return self.label
        return (self.label_elsewhere or f"{self.label}{{}}").format(column.removeprefix("FD"))

    def between(self, edits: Features | None, real: Features | None, allow_small: bool) -> Measurement:
        """Measure the distance, or say why not. None: no picture has landmarks. allow_small: also below `FLOOR`."""
        if edits is None or real is None:
            return Measurement(None, REASONS["identity network" if self.view == "described" else "landmarks"])
        fewest = min(len(edits), len(real))
        if fewest < FLOOR and not allow_small:
            return Measurement(None, f"{fewest} pictures are fewer than {FLOOR} (--allow-small measures all the same)")
        return Measurement(self.distance(edits, real))
