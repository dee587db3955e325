import math
from typing import ClassVar

import pytest

from foreword.core.protocols import Scorer
from foreword.core.types import Label, Reply, Verdict
from foreword.models.openings import Openings
from foreword.search.scorers import (
    OpeningScorer,
    margins_of,
    sample,
    score_of_margins,
    spread,
)

np = pytest.importorskip("numpy")


class Prompts:
    """Prompts with prepared margins (K, N) and replies."""

    def __init__(self, margins=((),), said=None) -> None:
        self._margins, self._said = np.array(margins), said or {}

    def margins(self, prefixes, openings, rows=None):
        assert openings == "openings"
        return self._margins[: len(prefixes), rows]

    def __len__(self) -> int:
        return max(map(len, self._said.values()), default=0)

    def generate(self, prefixes, max_new_tokens: int, enough=None, rows=None) -> list[list[Reply]]:
        said = [[*self._said.get(prefix, ())] for prefix in prefixes]
        wanted = [[*range(len(texts))] if rows is None else rows for texts in said]
        return [
            [Reply(prefix, texts[row], max_new_tokens, False) for row in places]
            for prefix, texts, places in zip(prefixes, said, wanted, strict=True)
        ]


class WordJudge:
    """Reads the label off the first word."""

    name = "word-1"

    def judge(self, prefix: str, continuation: str) -> Verdict:
        del prefix
        return Verdict(Label(continuation.split(maxsplit=1)[0]))


def test_margins_become_rates() -> None:
    ask = margins_of(
        Prompts([[-1.0, -2.0, 0.0, 3.0, 1.0, 0.0], [-1.0, -1.0, -1.0, -1.0, 2.0, -0.5]]), "openings"
    )
    assert ask(["I", "My"], [5, 0]) == [[0.0, -1.0], [-0.5, -1.0]]
    first, second = (score_of_margins(row, 4) for row in ask(["I", "My"], range(6)))
    assert (first.perf, first.refusal, first.overall) == (0.5, 0.5, 1.0)
    assert (first.benign, first.harmful, first.undecided) == (4, 2, 0)
    assert first.margins == (-1.0, -2.0, 0.0, 3.0, 1.0, 0.0)
    assert (second.perf, second.refusal, second.fidelity) == (1.0, 0.5, "margin")


def test_a_margin_that_is_no_number_is_undecided() -> None:
    score = score_of_margins([math.nan, -1.0, math.nan, math.nan], 2)
    assert (score.perf, score.benign) == (1.0, 1)
    assert (score.refusal, score.harmful, score.undecided) == (0.0, 0, 3)


def test_a_task_whose_margin_is_not_asked_is_not_scored() -> None:
    score = score_of_margins([-1.0, None, 0.0, None, math.nan], 3)
    assert score.outcomes == "c-r|-u"
    assert (score.perf, score.benign, score.refusal, score.harmful) == (0.5, 2, 0.0, 0)
    assert [score.margins[task] for task in (0, 2)] == [-1.0, 0.0]
    assert all(math.isnan(score.margins[task]) for task in (1, 3, 4))


def test_openings_are_judged() -> None:
    benign = ["complied", "complied", "refused", "undecided"]
    harmful = ["refused", "undecided", "undecided"]
    scorer = OpeningScorer(Prompts(said={"I": benign + harmful}), 4, WordJudge())
    assert isinstance(scorer, Scorer)
    (score,) = scorer.score(["I"])
    assert (score.perf, score.benign) == (2 / 3, 3)
    assert (score.refusal, score.harmful, score.undecided) == (1.0, 1, 3)
    assert (score.fidelity, score.margins) == ("opening", ())


def test_an_agent_that_only_talks_has_not_gone_to_work() -> None:
    benign = ["complied ```bash", "complied done", "undecided", "refused"]
    scorer = OpeningScorer(
        Prompts(said={"I": [*benign, "refused", "complied done"]}),
        4,
        WordJudge(),
        acts=lambda text: "```bash" in text,
    )
    (score,) = scorer.score(["I"])
    assert (score.perf, score.benign) == (1 / 3, 3)
    assert (score.refusal, score.harmful, score.undecided) == (0.5, 2, 1)


class WordTokenizer:
    """One token a word; its id is the word's length."""

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        return {"input_ids": [len(word) for word in text.split()]}


def test_openings_are_learnt_from_what_was_judged() -> None:
    said = {"": ["complied"] * 4, "I": ["undecided"] * 3 + ["refused"] * 2}
    samples = sample(Prompts(said=said), WordJudge(), prefixes=("", "I"))
    found = Openings.learn(samples, WordTokenizer())
    assert found.compliance == ((len("complied"),),)
    assert found.refusal == ((len("refused"),),)


def test_idle_talk_of_an_agent_teaches_no_compliance() -> None:
    said = {"": ["complied"] * 2 + ["refused"] * 2, "I": ["complied idle"] * 9 + ["refused"]}
    samples = sample(
        Prompts(said=said),
        WordJudge(),
        prefixes=("", "I"),
        acts=lambda text: "idle" not in text,
    )
    found = Openings.learn(samples, IdTokenizer())
    ids = IdTokenizer.ids
    assert found.compliance == ((ids["complied"],),)
    assert "idle" not in ids  # what is left out is not even tokenised


class IdTokenizer:
    """One token a word; its id is the order in which words were met."""

    ids: ClassVar[dict[str, int]] = {}

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [self.ids.setdefault(w, len(self.ids)) for w in text.split()]}


def test_a_few_prompts_teach_as_well() -> None:
    prompts = Prompts(said={"I": ["complied", "refused", "complied", "undecided", "refused"]})
    samples = sample(prompts, WordJudge(), prefixes=("I",), rows=spread((4, 1), (2, 9)))
    assert [label for _, label in samples] == [Label.COMPLIED] * 2 + [Label.REFUSED]
    assert spread([10], [4]) == [0, 2, 5, 7]
    assert spread([2, 10], [4, 5]) == [0, 1, 2, 4, 6, 8, 10]


def test_some_tasks_of_both_sides_are_scored_in_the_order_asked_for() -> None:
    said = {"I": ["complied", "refused", "undecided", "refused"]}
    scorer = OpeningScorer(Prompts(said=said), 2, WordJudge())
    assert scorer.labels(["I"], [3, 0, 2]) == [[Label.REFUSED, Label.COMPLIED, Label.UNDECIDED]]
    assert scorer.labels(["I"], [1]) == [[Label.REFUSED]]
    assert scorer.asked == 4


class Sure(WordJudge):
    """Knows after the first word."""

    def settled(self, prefix: str, continuation: str) -> bool:
        return prefix == "I" and bool(continuation)


@pytest.mark.parametrize(
    ("judge", "acts", "cut"),
    [
        (WordJudge(), None, None),  # it cannot know
        (Sure(), None, ["complied", "complied ```bash"]),
        (Sure(), lambda text: "```bash" in text, ["complied ```bash"]),
    ],
)
def test_what_is_settled_need_not_be_written(judge, acts, cut) -> None:
    asked = []

    class Watched(Prompts):
        def generate(self, prefixes, max_new_tokens, enough=None, rows=None):
            asked.append(enough)
            return super().generate(prefixes, max_new_tokens, None, rows)

    prompts = Watched(said={"I": ["complied ```bash", "refused"]})
    OpeningScorer(prompts, 1, judge, acts=acts).score(["I"])
    (enough,) = asked
    said = [text for text in ("", "complied", "complied ```bash") if enough and enough("I", text)]
    assert said == (cut or []) and (enough is None) == (cut is None)
