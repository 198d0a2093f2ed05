"""The metrics, in the order in which tables print them. A new one is a file beside this one and an entry here."""

from __future__ import annotations

from benchmark.metrics.ca import CA
from benchmark.metrics.density import COVERAGE, DENSITY
from benchmark.metrics.editing_score import EDITING
from benchmark.metrics.expression import EXPRESSION
from benchmark.metrics.frechet import FID, FID_CROPPED
from benchmark.metrics.frechet_faces import FRECHET_FACES
from benchmark.metrics.gain import GAIN
from benchmark.metrics.identity import IDENTITY
from benchmark.metrics.kid import KID, KID_CROPPED
from benchmark.metrics.landmark_error import LANDMARK_ERROR
from benchmark.metrics.metric import Metric
from benchmark.metrics.off_axis import OFF_AXIS
from benchmark.metrics.psnr import PSNR_REF, PSNR_SRC, PSNR_TRUE
from benchmark.metrics.ssim import SSIM

METRICS: list[Metric] = [
    FID, FID_CROPPED, PSNR_REF, PSNR_TRUE, CA, PSNR_SRC, SSIM, KID, KID_CROPPED,
    DENSITY, COVERAGE, FRECHET_FACES, EDITING, EXPRESSION, GAIN, OFF_AXIS, LANDMARK_ERROR, IDENTITY,
]  # fmt: skip
