"""Supervision-based style encoding (SSE), paper Sec. 2.1: cross-entropy of a classifier on the styles, Eq. (1)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Classifier(nn.Module):
    """C of Eq. (1): style N x style to logits N x classes, a perceptron with one hidden layer."""

    def __init__(self, style: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(style, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, style: Tensor) -> Tensor:
        """N x style to N x classes."""
        logits: Tensor = self.head(F.relu(self.hidden(style)))
        return logits


def style_supervision(classifier: Classifier, style: Tensor, labels: Tensor) -> Tensor:
    """One term of Eq. (1): the cross entropy of C(style) and the labels (N)."""
    return F.cross_entropy(classifier(style), labels)
