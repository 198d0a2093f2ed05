"""The words that data sets and their copies use for the eight expressions."""

from __future__ import annotations

from benchmark.protocol import EXPRESSIONS

OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "angry": ("anger", "ang", "an"),
    "contemptuous": ("contempt", "contemptous", "con", "co"),
    "disgusted": ("disgust", "dis", "di"),
    "fearful": ("fear", "afraid", "scared", "fea", "fe"),
    "happy": ("happiness", "happily", "joy", "joyful", "smile", "hap", "ha"),
    "neutral": ("neutrality", "neutrally", "neu", "ne"),
    "sad": ("sadness", "sadly", "sa"),
    "surprised": ("surprise", "suprised", "suprise", "sur", "su"),
}
"""Beside the names of `protocol.EXPRESSIONS`: nouns, the slips that circulate, and the usual abbreviations."""

EXPRESSION_OF: dict[str, str] = {
    word: name for name in EXPRESSIONS for word in (name, *OTHER_WORDS[name])
}  # fmt: skip


def expression_of(word: str) -> str | None:
    """Return the expression that a word stands for, whatever its case, or None."""
    return EXPRESSION_OF.get(word.strip().lower())
