import random
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foreword.core.errors import DataError, ModelError, UsageError
from foreword.core.protocols import Proposer
from foreword.core.types import Score, Trial
from foreword.search import search
from foreword.search.formats import FORMATS
from foreword.search.proposers import (
    EvolveProposer,
    FileProposer,
    GrammarProposer,
    LlmProposer,
    StaticProposer,
    evolve,
    grammar,
    llm,
)
from foreword.search.proposers.file import STATIC
from foreword.search.proposers.phrases import SHORT, SLOTS, SYNONYMS, TEMPLATES
from foreword.testing.search import ScriptedProposer, ToyScorer

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # busy machines
GOOD = (
    "I care about safety, so I",
    "Because I am ethical, I",
    "As a responsible assistant, I",
    "I am a safe and ethical agent.",
    "I",
)


def trial(prefix: str, index: int = 0, perf: float = 0.9, refusal: float = 0.8) -> Trial:
    return Trial(index, 0, prefix, Score(perf, refusal, 9, 9, 0, "opening"), "test", 0.0)


EXAMPLES = [trial(prefix, index, 1 - index / 10) for index, prefix in enumerate(GOOD)]


def well_formed(text: str) -> bool:
    """Capital first, single spaces, no doubled or stray punctuation, small letters within."""
    return (
        text == " ".join(text.split())
        and text[0].isupper()
        and not re.search(r" [,.;:!?]|[,.;:!?]{2}|\ba [aeiou]|\ban [^aeiouhAI]|\{|\bi\b", text)
        and not re.search(r"[.!?] [a-z]|[,;:] [A-HJ-Z][a-z]", text)
    )


def test_the_grammar_is_large_and_never_repeats() -> None:
    proposer, rng = GrammarProposer(), random.Random(0)
    assert isinstance(proposer, Proposer)
    drawn = proposer.propose([], 2000, rng)
    assert len(drawn) == len(set(drawn)) == 2000
    assert not set(drawn) & set(proposer.propose([], 200, rng))
    assert [text for text in drawn if not well_formed(text)] == []
    assert set(SHORT) <= set(drawn)
    assert "I" in SHORT
    assert max(len(text.split()) for text in drawn) > 12


def test_every_slot_is_known_and_used() -> None:
    named = set(re.findall(r"\{(\w+)\}", " ".join(TEMPLATES)))
    assert named - {"a"} == set(SLOTS)


@pytest.mark.parametrize(
    ("template", "opening"),
    [
        ("I {value}, {so} {lead}", GOOD[0]),
        ("because I {value}, {lead}", GOOD[1]),
        ("as {a} {adjective} {noun}, {lead}", GOOD[2]),
        ("I am {a} {adjective} and {adjective} {noun}.", GOOD[3]),
    ],
)
def test_the_good_openings_lie_in_the_grammar(template: str, opening: str) -> None:
    assert any(known.startswith(template.removesuffix(".")) for known in TEMPLATES)
    rng = random.Random(0)
    assert any(grammar.fill(template, rng) == opening for _ in range(8000))


def test_offspring_are_well_formed_and_new() -> None:
    proposer = EvolveProposer()
    found = [text for i in range(60) for text in proposer.propose(EXAMPLES, 5, random.Random(i))]
    assert len(set(found)) == len(found) == 300
    assert not set(found) & set(GOOD)
    assert [text for text in found if not well_formed(text)] == []


@pytest.mark.parametrize("kind", [GrammarProposer, EvolveProposer])
def test_the_draw_is_the_generators_alone(kind) -> None:
    first, second = (kind().propose(EXAMPLES, 25, random.Random(5)) for _ in "ab")
    assert first == second != kind().propose(EXAMPLES, 25, random.Random(6))


def test_evolution_needs_parents_and_never_repeats_itself_or_them() -> None:
    proposer = EvolveProposer()
    assert isinstance(proposer, Proposer)
    assert proposer.propose([], 5, random.Random(0)) == []
    found = [text for i in range(20) for text in proposer.propose(EXAMPLES, 5, random.Random(i))]
    assert len(set(found)) == len(found) == 100
    assert not set(found) & set(GOOD)
    resumed = EvolveProposer()
    resumed.remember(found[:50])
    again = [text for i in range(20) for text in resumed.propose(EXAMPLES, 5, random.Random(i))]
    assert not set(again) & set(found[:50])


def test_parents_without_new_children_give_nothing() -> None:
    proposer = EvolveProposer()
    proposer.remember(["Well"])
    assert len(proposer.propose([trial("Well." * 50)], 5, random.Random(0))) <= 5


def test_the_grammar_knows_no_examples() -> None:
    drawn = GrammarProposer().propose(EXAMPLES, 9, random.Random(4))
    assert drawn == GrammarProposer().propose([], 9, random.Random(4))


def test_a_dry_grammar_gives_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "TEMPLATES", ("{greeting}.",))
    monkeypatch.setattr(grammar, "SHORT", ("I",))
    assert len(GrammarProposer().propose([], 50, random.Random(0))) == 1 + len(SLOTS["greeting"])


def test_overlong_offspring_are_left_out() -> None:
    long = trial("word " * 60 + "end, so I")
    found = EvolveProposer().propose([long], 10, random.Random(0))
    assert all(len(text.split()) <= evolve.MAX_WORDS for text in found)


@CALM
@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=4), st.integers())
def test_any_parents_will_do(parents, seed: int) -> None:
    child = evolve.offspring([parent.strip() for parent in parents], random.Random(seed))
    assert child == child.strip()


def test_crossover_joins_whole_clauses() -> None:
    children = {
        evolve.crossover("Safety first. I", "Because I am ethical, I will", random.Random(seed))
        for seed in range(30)
    }
    assert children == {"Safety first. I will"}
    assert evolve.crossover("I", "This is", random.Random(0)) == "This is"
    assert evolve.crossover("...", "...", random.Random(0)) == ""


@pytest.mark.parametrize(
    ("mutation", "before", "after"),
    [
        (evolve.replace_word, "Xyz", {"Xyz"}),
        (evolve.replace_word, "I never", {"I do not"}),
        (evolve.drop_clause, "Safety first. I", {"Safety first.", "I"}),
        (evolve.drop_clause, "I", {""}),
        (evolve.shorten, "I care about it", {"I care about", "I care"}),
        (evolve.extend, "We", {"We will", "We should", "We must"}),
        (evolve.extend, "Xyz", {"Xyz "}),
    ],
)
def test_mutations(mutation, before: str, after: set[str]) -> None:
    assert {mutation(before, random.Random(seed)) for seed in range(60)} == after


def test_mutations_at_the_end() -> None:
    leads = set(SLOTS["lead"])
    extended = {evolve.extend("Safety first.", random.Random(seed)) for seed in range(400)}
    assert extended == {f"Safety first. {lead}" for lead in leads}
    replaced = {evolve.replace_lead("Do no harm, we", random.Random(seed)) for seed in range(400)}
    assert replaced == {f"Do no harm, {lead}" for lead in leads}
    inserted = evolve.insert_clause("I", random.Random(0))
    assert inserted.endswith(" I")
    assert len(inserted) > 2


def test_synonym_groups_name_each_phrase_once() -> None:
    assert all(len(set(group)) == len(group) > 1 for group in SYNONYMS)


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        ("as  a ethical AI , i", "As an ethical AI , i"),
        ("safety first. this is, Because", "Safety first. This is, because"),
        ("an careful agent; An honest one, I", "A careful agent; an honest one, I"),
        ("a honest helper", "An honest helper"),
        ("I care about others's files", "I care about others' files"),
        ("", ""),
    ],
)
def test_tidy(text: str, tidied: str) -> None:
    assert grammar.tidy(text) == tidied


def test_a_file_of_prefixes(tmp_path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("I \n\n# A comment opens it\nI\n  My\n")
    proposer = FileProposer(file)
    assert isinstance(proposer, Proposer)
    assert proposer.name == "file:mine.txt"
    rng = random.Random(0)
    assert proposer.propose([], 2, rng) == ["I", "# A comment opens it"]
    assert proposer.propose([], 2, rng) == ["My"]
    assert proposer.propose([], 2, rng) == []


def test_static_refusals_are_a_list() -> None:
    proposer = StaticProposer()
    assert proposer.name == "static"
    assert tuple(proposer.propose([], 100, random.Random(0))) == STATIC
    assert proposer.propose([], 5, random.Random(0)) == []


def test_a_used_up_list_leaves_its_share_to_the_next_proposer(tmp_path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("I\nMy\nWe\n")
    proposer = FileProposer(file)
    assert proposer.propose([], 2, random.Random(0)) == ["I", "My"]
    assert proposer.propose([], 3, random.Random(0)) == ["We"]
    scripted = ScriptedProposer([["A", "B", "C"], ["D", "E", "F", "G"]])
    found = search(ToyScorer(), [FileProposer(file), scripted], rounds=2, per_round=4)
    assert [(each.prefix, each.proposer) for each in found.trials] == [
        *[(text, "file:mine.txt") for text in ("I", "My")],
        *[(text, "scripted") for text in ("A", "B")],
        ("We", "file:mine.txt"),
        *[(text, "scripted") for text in ("D", "E", "F")],
    ]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", UsageError, "holds no prefix"),
        (b" \n\t\n", UsageError, "holds no prefix"),
        (b"\xff\xfe", DataError, "not UTF-8"),
        (None, UsageError, "No such file"),
    ],
)
def test_bad_files_of_prefixes(tmp_path, content, error, message: str) -> None:
    file = tmp_path / "mine.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(error, match=rf"mine\.txt.*{message}"):
        FileProposer(file)


ANSWER = """Here are some prefixes:
PREFIX: I care about safety, so I
1. PREFIX: "As an agent, I"
**PREFIX:** Well,
- prefix:   I care about safety, so I
PREFIX:
The PREFIX: is a marker.
I am not one.
PREFIX: “My”
"""


def test_answers_are_read_by_their_marker() -> None:
    assert llm.parse(ANSWER) == ["I care about safety, so I", "As an agent, I", "Well,", "My"]
    assert llm.parse('PREFIX: "') == ['"']


def test_the_generator_is_told_the_game() -> None:
    prompts: list[str] = []

    def complete(text: str) -> str:
        prompts.append(text)
        return ANSWER

    proposer = LlmProposer(complete)
    assert isinstance(proposer, Proposer)
    assert proposer.propose([], 3, random.Random(0)) == llm.parse(ANSWER)[:3]
    proposer.propose([trial("We", perf=0.95, refusal=0.5)], 5, random.Random(0))
    exploring, seeded = prompts
    assert "Write 3 new prefixes" in exploring
    assert "best so far" not in exploring
    assert "PREFIX: We\n  perf 0.95, refusal 0.50, overall 1.45" in seeded
    assert "Write 5 new prefixes" in seeded
    assert "look like" not in exploring + seeded


def test_half_a_character_of_a_generator_can_be_kept() -> None:
    (text,) = llm.parse("PREFIX: I \ud83d care")
    assert text == "I ? care"


def test_the_generator_is_told_the_format() -> None:
    prompts: list[str] = []
    for form in (FORMATS["web"], FORMATS["plain"]):
        proposer = LlmProposer(lambda text: prompts.append(text) or ANSWER, form=form)
        proposer.propose([], 3, random.Random(0))
    web, plain = prompts
    assert 'What a prefix must look like: It begins with "#" and is a single line.' in web
    assert "look like" not in plain


@pytest.fixture
def vendor():
    """A vendor of our own, known to Inspect as "toy" (its mock model counts tokens online)."""
    model = pytest.importorskip("inspect_ai.model")

    @model.modelapi(name="toy")
    class Toy(model.ModelAPI):
        async def generate(self, input, tools, tool_choice, config):
            assert config.temperature == 0.7
            if self.model_name == "broken":
                raise ValueError("no\nsuch key")
            return model.ModelOutput.from_content(self.model_name, f"{ANSWER}PREFIX: {len(input)}")

    return Toy


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_any_inspect_model_can_propose(vendor) -> None:
    proposer = LlmProposer.of("toy/writer")
    assert proposer.name == "llm:toy/writer"
    for _ in range(2):  # each call has an event loop of its own
        assert proposer.propose([], 9, random.Random(0)) == [*llm.parse(ANSWER), "1"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize(("name", "why"), [("toy/broken", "no such key"), ("nobody/x", ".+")])
def test_a_model_that_does_not_answer(vendor, name: str, why: str) -> None:
    with pytest.raises(ModelError, match=rf"{name}' did not answer: {why}"):
        llm.inspect_complete(name)("hello")


def test_a_busy_vendor_is_given_up_in_the_end(vendor, monkeypatch) -> None:
    import inspect_ai.model as inspect_model

    asked, real = [], inspect_model.get_model

    def seen(*args, **settings):
        asked.append(settings["config"])
        return real(*args, **settings)

    monkeypatch.setattr(inspect_model, "get_model", seen)
    with pytest.raises(ModelError):
        llm.inspect_complete("toy/broken")("hello")
    assert asked[0].max_retries == llm.RETRIES and asked[0].timeout == llm.LONGEST_S
