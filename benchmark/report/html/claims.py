"""Verdicts on a paper's claims as cards: the claim, its numbers, and the pair of edits that shows it best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmark.report.claims_figure import EditPair
from benchmark.report.html.grid import Tile
from benchmark.report.html.pictures import PagePictures
from benchmark.report.results import SuiteResults
from benchmark.report.verdict_text import evidence_line, grouped


@dataclass(frozen=True)
class PairTiles:
    """The source, both rows' edits, and the true picture if there is one, with the words under each."""

    caption: str
    tiles: tuple[tuple[str, Tile], ...]


@dataclass(frozen=True)
class ClaimView:
    """A claim with the numbers of its verdict."""

    words: str
    place: str
    id: str
    evidence: tuple[str, ...]
    pair: PairTiles | None


@dataclass(frozen=True)
class VerdictCard:
    """A verdict on a claim, or on several that share its reason."""

    outcome: str
    heading: str
    why: str
    claims: tuple[ClaimView, ...]


def verdict_cards(results: SuiteResults, pairs: Mapping[str, EditPair], album: PagePictures) -> list[VerdictCard]:
    """Make the cards of a suite. pairs: by the claim's id."""
    metrics = {metric.key: metric for metric in results.metrics}
    cards = []
    for group in grouped(results.verdicts):
        claims = [
            ClaimView(
                verdict.words, verdict.place, verdict.id,
                tuple(evidence_line(each, metrics) for each in verdict.evidence),
                _pair_tiles(verdict.id, pairs[verdict.id], album) if verdict.id in pairs else None,
            )
            for verdict in group.verdicts
        ]  # fmt: skip
        cards.append(VerdictCard(group.outcome, group.words, group.why, tuple(claims)))
    return cards


def _pair_tiles(claim: str, pair: EditPair, album: PagePictures) -> PairTiles:
    expression, target = pair.change
    words = f"claim {claim}, {expression} to {target}"
    tiles = [("source", Tile(album.add(pair.source), f"source of {words}", "source"))]
    for label, picture in zip(pair.labels, pair.edits, strict=True):
        tiles.append((label, Tile(album.add(picture), f"{label}: {words}", "edit", target)))
    if pair.truth is not None:
        tiles.append(("true", Tile(album.add(pair.truth), f"true picture of {words}", "truth", target)))
    return PairTiles(f"{expression} to {target}", tuple(tiles))
