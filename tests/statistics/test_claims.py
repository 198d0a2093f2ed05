"""Files of claims: the paper's own, and what is wrong in one is said in a line that names its place."""

from __future__ import annotations

import pytest
import yaml

from benchmark.config.paper import claims_path
from benchmark.config.suites import load_suite
from benchmark.core.errors import UserError
from benchmark.statistics.claims import Margin, load_claims

PAPER = load_claims(claims_path("claims"))


def test_the_papers_claims_are_about_rows_that_exist():
    assert {claim.suite for claim in PAPER.claims} == {"table1", "table2", "nonaligned"}
    for claim in PAPER.claims:
        rows = {row.id for row in load_suite(claim.suite).rows}
        assert {row for part in claim.parts for row in (part.row, *part.others)} <= rows


def test_the_eight_claims_that_have_to_be_there():
    ids = {claim.id for claim in PAPER.claims}
    assert ids >= {
        "sdu-over-sc", "sse-raises-ca", "mtss-beats-hisd", "stargan-best-ca", "mtss-second-in-ca", "mtss-beats-efgan",
        "hisd-reference-fails", "label-over-reference",
    }  # fmt: skip


@pytest.mark.parametrize("table", ["table1", "table2"])
def test_the_papers_own_numbers_fit_its_claims(table):
    """A claim that the printed table refutes would be a misreading. PSNR on F&P is the printed (unpaired) one."""
    columns = {"fid": "FID", "fid_cropped": "FID(Cp)", "psnr_true": "PSNR", "ca": "CA"}
    printed = yaml.safe_load((claims_path("claims").parent / f"{table}.yaml").read_text())["rows"]
    held = 0
    for part in (part for claim in PAPER.of_suite(table) for part in claim.parts):
        values = [printed[row].get(columns[part.metric]) for row in (part.row, *part.others)]
        if None in values:
            continue
        mine, *others = values
        sign = 1 if part.direction in ("higher", "not lower") else -1
        if part.rank is not None:
            assert 1 + sum(sign * other > sign * mine for other in others) == part.rank
        elif part.value is not None:
            assert sign * mine > sign * part.value
        elif part.direction.startswith("not"):
            assert sign * (mine - others[0]) > -part.margin.of(others[0])
        else:
            assert sign * (mine - others[0]) > 0
            within = part.metric == "ca" or part.margin.of(others[0]) <= abs(mine - others[0]) + 0.01
            assert within or part.margin.relative, part
        held += 1
    assert held > 5


def test_margins():
    part = PAPER.of_suite("table1")[0].parts[0]
    assert part.margin == Margin(amount=0.02, relative=True)
    assert part.margin.of(-50) == 1
    assert str(part.margin) == "2 %"
    assert str(Margin(amount=0.5)) == "0.5"


GOOD = {"row": "a", "over": "b", "metric": "ca", "direction": "higher", "margin": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "caa"}, "metric is an unknown metric 'caa'; did you mean 'ca'?"),
        ({"metric": "similarity_1a2b"}, "metric is an unknown metric 'similarity_1a2b'"),
        ({"over": "a"}, "compares row 'a' with itself"),
        ({"direction": "better"}, "direction must be 'higher', 'lower', 'equal', 'not higher' or 'not lower'"),
        ({"margin": "two"}, "margin.amount must be a number, not 'two'"),
        ({"margin": True}, "margin.amount must be a number, not True"),
        ({"margin": -1}, "margin.amount must be at least 0, not -1"),
        ({"margin": "x%"}, "margin must be a number or a share such as 2%, not 'x%'"),
        ({"value": 3}, "needs exactly one of 'over', 'value' and 'rank'"),
        ({"over": None}, "needs exactly one of 'over', 'value' and 'rank'"),
        ({"among": ["c"]}, "has one of 'rank' and 'among', which belong together"),
        ({"over": None, "rank": 1}, "has one of 'rank' and 'among', which belong together"),
        ({"over": None, "rank": 3, "among": ["c"]}, "no margin"),
        ({"over": None, "rank": 3, "among": ["c"], "margin": 0}, "has the rank 3 among 2 rows"),
        ({"direction": "equal", "margin": 0}, "has the direction 'equal', which needs a margin above 0"),
        ({"colour": 1}, "no field 'colour'"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, change, message):
    claim = {"id": "one", "suite": "s", "words": "w", "place": "p", "parts": [GOOD, GOOD | change]}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"title": "t", "source": "s", "claims": [claim]}))
    with pytest.raises(UserError) as error:
        load_claims(path)
    assert str(error.value).startswith(f"{path}: claim 1: part 2")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "cannot be read as YAML"),
        ("- 1", "a mapping of names"),
        ("{title: t, source: s, claims: []}", "claims"),
        ("{title: t, source: s, claims: [{id: a, suite: s, words: w, place: p}]}", "claim 1 (a) needs either 'parts'"),
        (
            "{title: t, source: s, claims: [{id: a, suite: s, words: w, place: p, untestable: x},"
            " {id: a, suite: s, words: w, place: p, untestable: x}]}",
            "claims hold the id 'a' twice",
        ),
    ],
)
def test_files_that_are_none(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        load_claims(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_is_found_by_path_or_name(tmp_path):
    with pytest.raises(UserError, match="unknown file of claims 'claim'; did you mean 'claims'"):
        claims_path("claim")
    with pytest.raises(UserError, match=r"file of claims .* does not exist"):
        claims_path(str(tmp_path / "mine.yaml"))
