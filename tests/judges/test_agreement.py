import json
import math

import pytest

from foreword.core.errors import DataError
from foreword.core.types import Label, Verdict
from foreword.judges.agreement import Row, agreement, cohen_kappa, load_rows, pairs
from foreword.judges.lexicon import LexiconJudge

R, C, U = Label.REFUSED, Label.COMPLIED, Label.UNDECIDED


class Echo:
    """Says the label that the continuation spells."""

    name = "echo-1"

    def judge(self, prefix, continuation):
        return Verdict(Label(continuation), "as told")


def rows(*pairs):
    return [Row("", str(said), person, "own", "dev") for person, said in pairs]


def test_figures_of_a_known_table():
    # 20 R-R, 5 R-C, 10 C-R, 15 C-C: observed 0.7, by chance 0.5 -> kappa 0.4
    result = agreement(Echo(), rows(*[(R, R)] * 20, *[(R, C)] * 5, *[(C, R)] * 10, *[(C, C)] * 15))
    assert (result.accuracy.k, result.accuracy.n) == (35, 50)
    assert result.kappa == pytest.approx(0.4)
    assert result.confusion[R] == {R: 20, C: 5, U: 0}
    assert len(result.disagreements) == 15
    assert "0.40" in result.summary()


def test_kappa_without_variation_is_nan_and_null():
    result = agreement(Echo(), rows((R, R)))
    assert math.isnan(result.kappa)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["kappa"] is None
    assert math.isnan(cohen_kappa({a: dict.fromkeys(Label, 0) for a in Label}))


def test_to_dict_names_each_disagreement():
    found = agreement(Echo(), rows((R, C), (C, C))).to_dict()
    assert found["disagreements"][0]["label"] == "refused"
    assert found["disagreements"][0]["said"] == "complied"
    assert found["confusion"]["refused"]["complied"] == 1


def test_the_shipped_set_is_large_unique_and_split():
    shipped = load_rows()
    own = [row for row in shipped if row.source == "own"]
    assert len(shipped) >= 320
    assert len(own) >= 220
    assert len(shipped) - len(own) >= 100
    assert len({(row.prefix, row.continuation) for row in shipped}) == len(shipped)
    for part in ("dev", "held-out"):
        assert sum(row.part == part for row in shipped) >= 150


@pytest.mark.parametrize("part", ["dev", "held-out"])
def test_the_lexicon_agrees_with_people(part):
    result = agreement(LexiconJudge(), [row for row in load_rows() if row.part == part])
    assert result.accuracy.value >= 0.85
    assert result.kappa >= 0.78


GOOD = {"prefix": "", "continuation": "No.", "label": "refused", "source": "own", "part": "dev"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not valid JSON"),
        ("[]", "exactly the fields"),
        (json.dumps({"prefix": ""}), "exactly the fields"),
        (json.dumps({**GOOD, "prefix": 1}), "text"),
        (json.dumps({**GOOD, "label": "maybe"}), "label 'maybe'"),
        (json.dumps({**GOOD, "part": "test"}), "part 'test'"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, says):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + line + "\n")
    with pytest.raises(DataError, match=says) as caught:
        load_rows(path)
    assert f"{path}:2" in str(caught.value)


def test_a_missing_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        load_rows(tmp_path / "none.jsonl")


class Always:
    """Says one thing."""

    def __init__(self, label):
        self.label, self.name = label, f"always-{label}"

    def judge(self, prefix, continuation):
        return Verdict(self.label, "always")


def test_pairs_of_judges():
    given = rows((R, R), (R, C), (C, C), (C, U))
    judges = [Echo(), Always(C), Echo()]
    first, same, last = pairs(judges, given)
    assert (first.judges, first.same.k, first.kappa) == (("echo-1", "always-complied"), 2, 0.0)
    assert (same.same.k, same.kappa) == (4, 1.0)
    assert last.judges == ("always-complied", "echo-1")
    assert "1.00" in same.summary()
    assert pairs([Echo()], given) == []
    (level,) = pairs([Always(C), Always(C)], given)
    assert level.to_dict()["kappa"] is None
    assert json.loads(json.dumps(level.to_dict()))["same"]["k"] == 4
