"""The paths of one training step: which edits the losses are computed on.

The trainer of MTSS was never published; the step is reconstructed from the paper and the published networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from baselines.hisd.batch import Sources
from models.mtss.generator import MTSSGenerator
from models.mtss.sdu import Disentangled


@dataclass(frozen=True)
class Batch:
    """x_s with y_s; y_t2 with its latent z; x_t1 with y_t1, None without the reference path.

    images, references: N x 3 x S x S. labels, mapped_labels, reference_labels: N. latents: N x latent_dim. labelled:
    further real faces for the classifier, None without.
    """

    images: Tensor
    labels: Tensor
    latents: Tensor
    mapped_labels: Tensor
    references: Tensor | None
    reference_labels: Tensor | None
    labelled: Sources | None = None


@dataclass(frozen=True)
class ReferenceEdits:
    """Outputs of the reference path: x~t1, edited with style = st1 = E(x_t1).

    recovered_style: E(x~t1). consistent: G(x~t1, st2, f'co) of Eq. (6). labels: N, y_t1.
    """

    labels: Tensor
    edited: Tensor
    style: Tensor
    recovered_style: Tensor
    consistent: Tensor


@dataclass(frozen=True)
class Edits:
    """Images N x 3 x S x S and styles N x style of one step.

    edited: x~t2. mapped_style: st2 = M(z, y_t2). recovered_style: E(x~t2). style: E(x_s), in which x_s is rebuilt
    three ways: without the translator, with it, and from x~t2. parts: f'st and f'co of x_s, None without an SDU.
    """

    reconstructed: Tensor
    self_translated: Tensor
    cycled: Tensor
    style: Tensor
    edited: Tensor
    mapped_style: Tensor
    recovered_style: Tensor
    parts: Disentangled | None
    reference: ReferenceEdits | None


def edit_paths(generator: MTSSGenerator, batch: Batch, consistency_content: Literal["source", "recomputed"]) -> Edits:
    """Run all paths of one step, each network on all of its inputs at once."""
    count = len(batch.images)
    source = generator.encode(batch.images)
    content = generator.content_of(source.f_s, source.f_r)
    mapped_style = generator.mapper(batch.latents, batch.mapped_labels)
    styles = [source.style, mapped_style]
    if batch.references is not None:
        styles.append(generator.extractor(batch.references))
    translated = generator.translator(source.encoded, torch.cat(styles))
    images = generator.decoder(torch.cat([source.encoded, translated]), _repeated(content.joins, 1 + len(styles)))
    reconstructed, self_translated, *edited = images.chunk(1 + len(styles))

    # Back from x~t2 in the source's style, with the content of x~t2: the source's own would give the answer away.
    again = generator.encode(torch.cat(edited))
    fresh = count if consistency_content == "source" else len(again.f_s)
    joins = generator.content_of(again.f_s[:fresh], again.f_r[:fresh]).joins
    if joins is not None and content.joins is not None and len(joins) < len(again.f_s):
        joins = torch.cat([joins, content.joins])  # Eq. (6): x~t1 with the f'co of the source
    cycled, *consistent = generator.decoder(
        generator.translator(again.encoded, torch.cat(styles[: len(edited)])), joins
    ).chunk(len(edited))
    recovered = again.style.chunk(len(edited))

    reference = None
    if batch.reference_labels is not None:
        reference = ReferenceEdits(batch.reference_labels, edited[1], styles[2], recovered[1], consistent[0])
    return Edits(
        reconstructed=reconstructed,
        self_translated=self_translated,
        cycled=cycled,
        style=source.style,
        edited=edited[0],
        mapped_style=mapped_style,
        recovered_style=recovered[0],
        parts=content.parts,
        reference=reference,
    )


def _repeated(content: Tensor | None, times: int) -> Tensor | None:
    return None if content is None else torch.cat([content] * times)
