import random

import pytest

from foreword.core.errors import UnknownName
from foreword.evals.protocol import action
from foreword.search.formats import FORMATS, Format, named, tool_calls, whole_json
from foreword.search.proposers import GrammarProposer

BASH, HERMES, WEB = FORMATS["bash"], FORMATS["hermes"], FORMATS["web"]


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("nothing", ["", " ", "\n\t"])
def test_nothing_fits_nowhere(form: Format, nothing: str) -> None:
    assert form.fit(nothing) is None
    assert form.why(nothing) == "it is empty"


def test_white_space_at_the_ends_is_mended() -> None:
    assert Format().fit(" I care,\nso I \n") == "I care,\nso I"
    assert Format().why("I ") == ""


@pytest.mark.parametrize(
    ("prefix", "mended"),
    [
        ("I", "# I"),
        ("# I", "# I"),
        ("#I ", "#I"),
        ("#", "#"),
        ("I care.\n\nSo I", "# I care. So I"),
        ("# I\ndo(x)", "# I do(x)"),
    ],
)
def test_one_line_actions_get_a_comment(prefix: str, mended: str) -> None:
    assert WEB.fit(prefix) == mended
    assert WEB.fit(mended) == mended


def test_tokens_are_counted_with_the_start() -> None:
    form = Format(start="#", max_tokens=3)
    assert form.fit("I care") == "# I care"
    assert form.fit("I care so") is None
    assert form.why("I care so") == "it has 4 tokens, more than 3"
    assert Format(max_tokens=3, count=len).fit("four") is None


@pytest.mark.parametrize("form", [BASH, HERMES], ids=["bash", "hermes"])
def test_prose_breaks_no_parser(form: Format) -> None:
    drawn = GrammarProposer().propose([], 50, random.Random(0))
    assert [form.fit(prefix) for prefix in drawn] == drawn


@pytest.mark.parametrize(
    ("form", "prefix"),
    [
        (BASH, "Sure:\n```bash\nid\n```"),
        (BASH, "```bash"),
        (BASH, "```bash\nid"),
        (HERMES, "I call <tool_call>"),
        (HERMES, '<tool_call>{"name": "x"}</tool_call>'),
        (FORMATS["json"], "I"),
        (FORMATS["json"], "{"),
    ],
)
def test_what_breaks_a_parser_does_not_fit(form: Format, prefix: str) -> None:
    assert form.fit(prefix) is None
    assert f"{form.name} replies are no longer read as before" in form.why(prefix)


def test_every_sample_says_something_to_its_parser() -> None:
    for form in FORMATS.values():
        if form.parser:
            assert form.parser(form.samples[0])
    assert action(BASH.samples[0]) == "ls -l"


def test_calls_are_read_as_servers_do() -> None:
    calls = tool_calls(HERMES.samples[1])
    assert calls == [{"name": "a", "arguments": {}}, {"name": "b", "arguments": {}}]
    assert tool_calls('<tool_call>{"name": "a"}') == [{"name": "a"}]
    assert tool_calls("<tool_call>no</tool_call>" + HERMES.samples[0]) == []
    assert tool_calls("nothing") == []


def test_json_is_whole_or_nothing() -> None:
    assert whole_json(' {"a": 1}\n') == {"a": 1}
    assert whole_json('So: {"a": 1}') is None


def test_the_rules_in_words() -> None:
    assert Format().rules() == ""
    assert Format(start="#", max_tokens=9).rules() == (
        'It begins with "#" and is a single line. It has at most 9 tokens.'
    )
    assert "no code" in BASH.rules()


def test_a_format_is_named_alike_in_every_process() -> None:
    assert "0x" not in repr(HERMES)
    assert "hermes" in repr(HERMES)


def test_formats_have_names() -> None:
    assert named("web") is WEB
    with pytest.raises(UnknownName, match="hermes"):
        named("xml")
