"""MTSS's numbers: HiSD's, and what supervision and disentanglement add. Its switches make the rows of Table 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baselines.hisd.settings import HiSDSettings
from benchmark.settings import chosen, published

CODE = "lumanxi236/MTSS"


@dataclass(frozen=True)
class MTSSSettings(HiSDSettings):
    """Every number of MTSS; the defaults are the full model. Inherited numbers equal its own configuration's."""

    classes: Literal["per-batch", "per-sample"] = chosen(
        "per-sample",
        "the trainer was never published; HiSD's one class per batch gives the classifier batches of a single label",
    )
    style_in_discriminator: bool = published(False, f"{CODE}, networks.py: the discriminator's style is set to zeros")

    supervision: bool = published(True, "paper, Sec. 2.1, Eq. (1): a classifier on the styles (SSE)")
    reference_path: bool = published(
        True, "paper, Sec. 2.1 and Eq. (5): an edit by an extracted style beside the mapped one"
    )
    content: Literal["none", "skip", "disentangled"] = published(
        "disentangled",
        "paper, Sec. 2.2, Eq. (3): f'co of the SDU joins in the decoder; 'skip' is Table 2's SC, f_s itself",
    )
    classifier_hidden: int = published(128, f"{CODE}, networks.py; follows the width")
    sdu_channels: int = published(
        512, f"{CODE}, networks.py: of f_s and f_r before the shared encoder; follows the width"
    )

    classifier_batch_size: int = chosen(
        0,
        "real faces a step, of classes drawn uniformly, whose extracted styles the classifier sees beside those of the "
        "references; the paper names none, and with the references alone the extractor may stay at chance for long",
    )
    classification_weight: float = published(1.0, f"{CODE}, RaFD.yaml: cls_w; Eq. (7) leaves the cross entropies out")
    orthogonality_weight: float = published(0.001, "paper, Sec. 3: lambda_o of Eq. (4)")
    orthogonality: Literal["channel-sum", "mean", "sum"] = chosen(
        "channel-sum",
        "Eq. (4) does not say what the L1 norm runs over. At the first step, weighted: the mean over all elements adds "
        "0.001 to the loss (inert), the sum over all about 600 (nothing else counts), over channels 0.15",
    )
    consistency_weight: float = chosen(1.0, "Eq. (6) adds the consistency term to the cycle's without a weight")
    consistency_content: Literal["source", "recomputed"] = chosen(
        "source", "Eq. (6) as printed: G(x~t1, st2, f'co) with the f'co of the source, not that of x~t1"
    )
    adversarial: Literal["hinge", "log"] = chosen(
        "hinge",
        "the published discriminator has HiSD's hinge losses and R1; Eq. (5) prints the logarithms of the first GANs",
    )
    sdu_initialisation: Literal["default", "kaiming"] = chosen(
        "default",
        "HiSD's Kaiming initialisation would saturate 99 of 100 outputs of the SDU's tanh at the first step; PyTorch's "
        "own starts it near f'st = 0, f'co = f_s",
    )
