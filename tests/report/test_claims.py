"""Verdicts on claims with the edits that show them: in report.md, on the page, on the leaderboard."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.config.paper import claims_path
from benchmark.core.errors import UserError
from benchmark.report.canvas import Figure
from benchmark.report.claims_figure import ClaimPair, EditPair, draw_claims, read_pairs
from benchmark.report.html.content import PageContent
from benchmark.report.html.leaderboard_page import leaderboard_html
from benchmark.report.html.page import report_html
from benchmark.report.leaderboard import board
from benchmark.report.page import report_page
from benchmark.report.summary import with_statistics
from benchmark.report.verdict_text import grouped
from benchmark.statistics.claims import load_claims
from benchmark.statistics.verdict import Verdict
from tests.report.made_up import certain_run, quick_run, timings
from tests.report.test_formats import shown

RUN = certain_run()


def pairs_of(count: int) -> dict[str, EditPair]:
    """Edits of noise for the first claims of the run."""
    noise = np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32, 3), np.uint8)
    ids = [verdict.id for verdict in RUN.verdicts if verdict.evidence][:count]
    return {
        name: EditPair(("A", "B, failed"), ("sad", "happy"), source, (first, second), None)
        for name, (source, first, second) in zip(ids, noise, strict=True)
    }


def test_the_pictures_are_read_back_from_the_figure(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (4, 32, 32, 3), np.uint8)
    pairs = {
        "x": EditPair(("first", "second, failed"), ("sad", "happy"), noise[0], (noise[1], noise[2]), noise[3]),
        "y": EditPair(("b", "c"), ("angry", "sad"), noise[1], (noise[2], noise[3]), None),
    }
    shown = [ClaimPair(Verdict(name, "w", "p", "undecided", ""), "CA", pair) for name, pair in pairs.items()]
    for public in (True, False):
        figure = draw_claims(shown, public)
        assert figure is not None
        figure.save(tmp_path / f"{public}.png")
    read = read_pairs(tmp_path / "True.png")
    assert read.keys() == pairs.keys()
    for name, pair in pairs.items():
        assert (read[name].labels, read[name].change) == (pair.labels, pair.change)
        assert len(read[name].pictures) == len(pair.pictures)
        assert all(map(np.array_equal, read[name].pictures, pair.pictures))
    assert read_pairs(tmp_path / "False.png") == {}  # may not be passed on


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read as JSON"),
        ('{"pairs": {"x": {"labels": ["a", "b"]}}}', "is missing"),
        ('{"pairs": {"x": {"labels": ["a", "b"], "change": ["sad", "happy"], "corners": [[0, 0], [0, 0], [-1, 0]],'
         ' "side": 8, "scale": 1}}}', "the pictures of 'x' lie outside the figure"),
        (None, "cannot be read as a figure of claims"),
    ],
)  # fmt: skip
def test_a_damaged_figure_is_one_line(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "claims.png"
    if text is None:
        path.write_bytes(b"\x89PNG\r\n\x1a\n")
    else:
        Figure(Image.new("RGB", (20, 20)), text={"fesbench": text}).save(path)
    with pytest.raises(UserError, match=re.escape(words)) as caught:
        read_pairs(path)
    assert "claims.png" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_claims_that_share_a_reason_are_one_line() -> None:
    brief = with_statistics(quick_run(), load_claims(claims_path("claims")), "profile quick trains too briefly")
    text = report_page(brief, timings(), [])
    assert text.count("profile quick trains too briefly") == 1
    (group,) = [group for group in grouped(brief.verdicts) if len(group.verdicts) > 1]
    assert f"<details><summary>{len(group.verdicts)} claims</summary>" in text
    page = report_html(brief, PageContent())
    assert page.count("profile quick trains too briefly") == 1
    for verdict in brief.verdicts:
        assert f"`{verdict.id}`" in text
        assert f"<code>{verdict.id}</code>" in page
    assert [each for group in grouped(RUN.verdicts) for each in group.verdicts if each.evidence] == [
        verdict for verdict in RUN.verdicts if verdict.evidence
    ]
    assert all(len(group.verdicts) == 1 for group in grouped(RUN.verdicts) if group.verdicts[0].evidence)


def test_claims_that_were_tested_come_first_each_kind_in_the_papers_order() -> None:
    untested = [verdict.id for verdict in RUN.verdicts if verdict.outcome == "not testable here"]
    tested = [verdict.id for verdict in RUN.verdicts if verdict.id not in untested]
    order = [verdict.id for verdict in RUN.verdicts]
    assert order.index(untested[0]) < order.index(tested[-1])  # of the file
    page = report_html(RUN, PageContent())
    for text, sign in ((report_page(RUN, timings(), []), "`{}`"), (page, "<code>{}</code>"), (shown(RUN, 200), "{}")):
        places = {name: text.index(sign.format(name)) for name in order}
        assert sorted(tested, key=places.__getitem__) == tested
        assert max(places[name] for name in tested) < min(places[name] for name in untested)
    firsts = [group.verdicts[0].id for group in grouped(RUN.verdicts) if group.verdicts[0].id in untested]
    assert firsts == sorted(firsts, key=order.index)


def test_each_claim_has_its_pictures_where_they_may_be_shown() -> None:
    pairs = pairs_of(2)
    page = report_html(RUN, PageContent(pairs=pairs))
    assert page.count('<figure class="pair"') == 2
    assert page.count("sad to happy</figcaption>") == 2
    for name in pairs:
        card = page[: page.index(f"<code>{name}</code>")].rindex("<li")
        end = page.index("</li>", page.index("</figure>", card))
        assert page[card:end].count("<code>") == 1
        assert f"claim {name}, sad to happy" in page[card:end]
        assert 'B, <span class="failed">failed</span>' in page[card:end]
    assert '<figure class="pair"' not in report_html(RUN, PageContent(pairs=pairs, withheld=True))


def test_the_leaderboard_shows_the_pictures_beside_its_results(tmp_path: Path) -> None:
    pairs = pairs_of(2)
    verdicts = {verdict.id: verdict for verdict in RUN.verdicts}
    shown = [ClaimPair(verdicts[name], "CA", pair) for name, pair in pairs.items()]
    for public in (True, False):
        figure = draw_claims(shown, public)
        assert figure is not None
        (tmp_path / str(public)).mkdir()
        figure.save(tmp_path / str(public) / "claims.png")
    entries = [(tmp_path / name / "results.json", RUN) for name in ("True", "False", "none")]
    page = leaderboard_html("Board", board(entries[:1]), entries, ())
    assert page.count('<figure class="pair"') == 2
    assert page.count(f"<code>{RUN.verdicts[0].id}</code>") == 3
    assert 'id="claims-3"' in page
