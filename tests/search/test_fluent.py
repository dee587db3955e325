import math
import random

import pytest

from foreword.core.protocols import Proposer
from foreword.core.types import Score, Trial
from foreword.search.proposers import FluentProposer
from foreword.search.proposers.fluent import MAX_WORDS, Text, by_length, natural
from foreword.search.ranking import smooth

np = pytest.importorskip("numpy")

# What may follow each last word; a word of two tokens, code and control tokens among it.
GRAMMAR = {
    "": {"I": 0.5, "As": 0.2, "Safe": 0.1, "```": 0.1, "\n": 0.05, "": 0.05},
    "I": {" am": 0.4, " will": 0.3, " de": 0.2, "`": 0.1},
    "de": {"cline": 0.8, " ": 0.2},
    "am": {" careful": 0.5, " kind": 0.4, "<x>": 0.1},
    "careful": {",": 0.6, ".": 0.4},
    "kind": {",": 0.5, ".": 0.5},
    "will": {" do": 0.6, " I": 0.4},
    "As": {" one": 1.0},
    "one": {",": 1.0},
    "Safe": {"ty": 1.0},
    "Safety": {" first": 1.0},
    "first": {",": 0.5, ".": 0.5},
    ",": {" I": 0.7, " so": 0.3},
    ".": {" I": 1.0},
    "so": {" I": 1.0},
}


class Toy:
    """Prompts of a model with that grammar; it leans by how many good words it has said."""

    def __init__(self, sign: float, grammar=GRAMMAR) -> None:
        self.sign, self.grammar, self.asked = sign, grammar, []

    def likeliest(self, prefixes, k: int):
        found = []
        for text in prefixes:
            last = text[-1:] if text[-1:] in (",", ".") else text.split(" ")[-1]
            tokens = self.grammar.get(last, {"": 1.0})
            pairs = [(token, math.log(share)) for token, share in tokens.items()]
            found.append(sorted(pairs, key=lambda pair: -pair[1])[:k])
        return found

    def margins(self, prefixes, openings):
        assert openings == "openings"
        self.asked += prefixes
        good = [0.5 + sum(text.count(word) for word in ("careful", "so")) for text in prefixes]
        undecided = [math.nan if "do" in text.split() else 0.0 for text in prefixes]
        return np.array([[self.sign * n + u] * 2 for n, u in zip(good, undecided, strict=True)])


def proposer(**changes) -> FluentProposer:
    return FluentProposer(Toy(-1.0), Toy(1.0), "openings", **changes)


def trial(prefix: str) -> Trial:
    return Trial(0, 0, prefix, Score(0.9, 0.8, 9, 9, 0, "opening"), "test", 0.0)


def test_it_writes_plain_whole_words_that_the_model_likes() -> None:
    ours = proposer()
    assert isinstance(ours, Proposer)
    found = ours.propose([], 50, random.Random(0))
    assert len(found) > 5
    assert [text for text in found if not natural(text)] == []
    words = {word.strip(",.") for text in found for word in text.split()}
    assert words <= {"I", "am", "will", "decline", "careful", "kind", "do", "As", "one"} | {
        "Safety", "first", "so"
    }  # fmt: skip
    assert "de" not in words and "Safe" not in words


def test_the_best_come_first_in_different_lengths() -> None:
    found = proposer().propose([], 4, random.Random(0))
    assert "careful" in found[0]
    lengths = [len(text.split()) for text in found]
    assert len(set(lengths)) == 4


def test_the_draw_is_the_generators_alone_and_never_repeats() -> None:
    first, second = (proposer().propose([], 5, random.Random(3)) for _ in "ab")
    assert first == second
    ours = proposer()
    found = [text for i in range(6) for text in ours.propose([], 5, random.Random(i))]
    assert len(set(found)) == len(found)
    resumed = proposer()
    resumed.remember(first)
    again = resumed.propose([], 5, random.Random(3))
    assert again and not set(again) & set(first)


def test_examples_are_continued_and_not_repeated() -> None:
    examples = [trial("Kindness is good, so I")]
    runs = [proposer().propose(examples, 5, random.Random(i)) for i in range(8)]
    begun = [[text for text in run if text.startswith("Kindness")] for run in runs]
    assert any(begun) and not all(begun)  # the others start from nothing
    assert "Kindness is good, so I" not in {text for run in runs for text in run}


def test_an_example_that_is_no_prose_is_no_start() -> None:
    for seed in range(4):
        found = proposer().propose([trial("# 1 2 3")], 3, random.Random(seed))
        assert found and all(natural(text) for text in found)


def test_another_voice_can_be_heard() -> None:
    voice = Toy(0.0, {"": {"My": 1.0}, "My": {" answer": 1.0}})
    assert set(proposer(voices=[voice]).propose([], 9, random.Random(0))) == {"My", "My answer"}


def test_a_token_is_as_likely_as_the_voice_says_that_likes_it_least() -> None:
    voices = [
        Toy(0.0, {"": {"My": 0.8, "Our": 0.2}}),
        Toy(0.0, {"": {"Our": 0.9, "The": 0.1}}),
    ]
    (told,) = proposer(voices=voices)._told([Text("")])
    assert [token for token, _ in told.following] == ["Our", "My", "The"]
    assert math.exp(told.following[0][1]) == pytest.approx(0.2 / 1.2)  # "The": at most 0.2


def test_no_word_is_glued_to_a_finished_one() -> None:
    last = {"": {"It": 1.0}, "It": {" is": 0.6, "self": 0.3, "'s": 0.1}}
    (told,) = proposer(voices=[Toy(0.0, last)])._told([Text("It")])
    assert told.whole and [token for token, _ in told.following] == [" is", "'s"]


def test_work_is_bounded_and_nothing_is_done_for_nothing() -> None:
    ours = proposer()
    ours.propose([], 0, random.Random(0))
    assert ours._benign.asked == []
    ours.propose([], 1, random.Random(0))
    assert 0 < len(ours._benign.asked) <= 120


def test_a_mute_model_proposes_nothing() -> None:
    assert proposer(voices=[Toy(0.0, {})]).propose([], 5, random.Random(0)) == []


def test_unlikely_words_are_not_proposed() -> None:
    rare = Toy(0.0, {"": {"My": 1.0}, "My": {" own": 1.0, " odd": 1e-6}})
    assert "My odd" not in proposer(voices=[rare]).propose([], 9, random.Random(0))


@pytest.mark.parametrize(
    ("margins", "unknown", "value"),
    [
        ([0.0], 0.0, 0.5),
        ([math.nan, 0.0], 0.0, 0.25),
        ([math.nan, 0.0], 0.5, 0.5),
        ([2000.0, -2000.0], 0.0, 0.5),
        ([2.0], 0.0, 0.7310586),
    ],
)
def test_the_soft_step(margins, unknown: float, value: float) -> None:
    assert smooth(margins, unknown) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    ["I", "I care about safety, so I", "Safety first. I", "I don't", "Well-kn", "Sure,"],
)
def test_prose(text: str) -> None:
    assert natural(text)


@pytest.mark.parametrize(
    "text",
    ["", "i", " I", "I ", "I  am", "I `ls`", "I\nam", "I <x>", "Caf\u00e9", "I am 3", "I,,", "I ,",
     "I am it, I am it", "Do this:", "I " + " ".join(f"a{'b' * i}" for i in range(MAX_WORDS))],
)  # fmt: skip
def test_no_prose(text: str) -> None:
    assert not natural(text)


def test_by_length() -> None:
    texts = [Text("A b", score=1.5), Text("C d", score=1.9), Text("E", score=1.2)]
    assert by_length(texts) == ["C d", "E", "A b"]
