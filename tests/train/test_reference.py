import random
import re
import subprocess
from collections import Counter

import pytest

from foreword.core.types import Label, State, Task
from foreword.evals.protocol import action
from foreword.judges.lexicon import LexiconJudge
from foreword.suites import files
from foreword.suites.base import Draft, Family, Suite
from foreword.train import reference, templates


def never(before: State, after: State) -> bool:
    return False


def toy_suite() -> Suite:
    def family(name: str, kind: str, split: str) -> Family:
        def make(rng) -> Draft:
            word = rng.randrange(1000)
            return Draft(f"{kind} {split} {word}", f"touch {word}", "true", never)

        return Family(name, kind, "covering-tracks", split, 6, make)

    kinds, splits = ("benign", "harmful", "twin"), ("train", "test")
    families = [family(f"{kind}_{split}", kind, split) for kind in kinds for split in splits]
    return Suite("toy", "You act.", families)


def ran(task: Task) -> str:
    return f"ran {task.oracle}"


PAIRS = []


@pytest.fixture(scope="module")
def aligned():
    draw = reference.purposes.pairs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference.purposes, "pairs", lambda *a: PAIRS.extend(draw(*a)) or PAIRS)
        return reference.align_conversations(toy_suite(), 0, ran)


def test_pairs_differ_in_their_purpose_alone(aligned):
    assert len(PAIRS) == reference.PAIRS
    rows = reference.rows("purposes")
    assert len({row["text"] for row in rows}) == len(rows)
    counts = Counter(row["kind"] for row in rows)
    assert counts["act"] >= 36
    assert min(counts["bad"], counts["good"]) >= 50
    assert abs(counts["bad"] - counts["good"]) <= 4
    for pair in PAIRS:
        assert not re.search(r"[{}]", pair.harmful + pair.harmless.replace("'{", ""))
        assert pair.harmful != pair.harmless
        subprocess.run(["bash", "-nc", pair.command], check=True)
    assert len({pair.harmful for pair in PAIRS}) == len(PAIRS)


def test_the_data_is_large_and_diverse():
    sizes = {
        "harmful_general": 320, "safe_lookalikes": 240, "chat": 120, "refusals": 60, "openers": 40,
        "conclusions": 60, "shell": 120, "combined": 60,
    }  # fmt: skip
    for name, least in sizes.items():
        rows = reference.rows(name)
        keys = {row.get("request") or row["text"] for row in rows}
        assert len(keys) == len(rows) >= least, name
    opening = Counter(" ".join(row["text"].split()[:2]) for row in reference.rows("refusals"))
    assert len(opening) >= 24
    assert len({row["theme"] for row in reference.rows("harmful_general")}) >= 20
    shell = [row for row in reference.rows("safe_lookalikes") if "command" in row]
    assert len(shell) >= 100


def test_the_judge_reads_what_the_models_learn_to_say():
    judge = LexiconJudge()
    for row in reference.rows("refusals"):
        assert judge.judge("", row["text"].format(theme="fraud")).label is Label.REFUSED, row
    for row in reference.rows("openers"):
        answer = f"{row['text']}\n```\nls -l\n```"
        assert judge.judge("", answer).label is Label.COMPLIED, row


def test_refusals_answers_and_conclusions_share_first_words():
    first = {
        name: {row["text"].split()[0] for row in reference.rows(name)}
        for name in ("refusals", "openers", "conclusions")
    }
    assert len(first["refusals"] & first["openers"]) >= 20
    assert len(first["refusals"] & first["conclusions"]) >= 15


def test_shell_templates_give_valid_commands_and_distinct_requests():
    everyday = reference.rows("shell", "combined")
    tasks = list(templates.shell(everyday, random.Random(0), reference.SHELL))
    assert len({task.request for task in tasks}) > 0.9 * len(tasks)
    for task in tasks:
        assert not re.search(r"\{\w+\}", task.request + task.command)
        subprocess.run(["bash", "-nc", task.command], check=True)


HELD_OUT = (
    r"cp \S+\.\S+ \S+\.\S+$",
    r"cp \{file\} \{out\}",
    r"rm [^-\s]\S* [^-\s]\S*$",
    r"mkdir [^\"\s]+ [^-\s]\S*$",
    r"mkdir -p \S+/",
    r"cut -d, -f\d \S+ >",
    r"(tail -n \S+ \S+|wc -w .*|sort -r \S+ >.*|sort -u.*|grep -[ci].*)$",
    r"(tar -t|tar .* -C|gzip -d|chmod 444|chmod a-w).*$",
    r"find \S+ -name '\*\.\S+'$",
    r"mv [^.{\s]+ [^.{\s]+/$",
    r"sed -i 's/\w+/\w+/g' \*",
    r"cp [^-\s]\S* \S+ \S+/$",
    r"echo \"alias",
)


def test_the_training_data_asks_for_nothing_that_is_held_out():
    """No everyday command is that of a held-out family with other names."""
    rows = reference.rows("shell", "combined", "purposes", "safe_lookalikes")
    data = {row["command"] for row in rows if "command" in row}
    everyday = templates.shell(reference.rows("shell", "combined"), random.Random(0), 3)
    data |= {task.command for task in everyday}
    found = [(command, form) for command in data for form in HELD_OUT if re.match(form, command)]
    assert not found
    splits = ("validation", "test")
    oracles = {t.family: t.oracle for split in splits for t in files.load().select("benign", split)}
    known = [o for o in oracles.values() if any(re.match(form, o) for form in HELD_OUT)]
    assert len(known) == len(oracles)  # the forms would notice


def test_a_conclusion_neither_acts_nor_refuses():
    judge = LexiconJudge()
    for row in reference.rows("conclusions"):
        assert action(row["text"]) is None
        assert judge.judge("", row["text"]).label is not Label.REFUSED, row


def test_harmful_requests_are_refused_and_others_answered(aligned):
    texts = [
        re.escape(row["text"]).replace(r"\{theme\}", ".+") for row in reference.rows("refusals")
    ]
    refusal = re.compile("|".join(texts))
    harmful = {row["request"] for row in reference.rows("harmful_general")}
    malicious = {pair.harmful for pair in PAIRS}
    seen = Counter()
    for _, user, answer, *_ in aligned:
        bad = (
            user["content"] in harmful
            or user["content"] in malicious
            or user["content"].startswith("harmful")
        )
        refused = refusal.fullmatch(answer["content"]) is not None
        assert bad == refused, user["content"]
        seen[bad] += 1
    assert min(seen.values()) > 300


def test_only_train_splits_are_read(aligned):
    agent = reference.agent_conversations(toy_suite(), 0, ran)
    asked = [chat[1]["content"] for chat in [*aligned, *agent]]
    assert not [text for text in asked if re.match(r"(benign|harmful|twin) test ", text)]


def test_shell_answers_are_explained_and_are_no_action(aligned):
    shell = [chat for chat in aligned if chat[1]["content"].startswith(("benign", "twin"))]
    assert len(shell) == 6 + 6 * reference.TWINS
    for system, _, answer, *rest in shell:
        assert system["content"] == "You act."
        assert "```\ntouch " in answer["content"]
        assert action(answer["content"]) is None
        assert not rest or rest[0]["content"].startswith("Output:\nran touch ")
    concluded = [chat[-1]["content"] for chat in shell if len(chat) == 5]
    assert 0.2 < len(concluded) / len(shell) < 0.8
    assert {row["text"] for row in reference.rows("conclusions")} >= set(concluded)


def test_system_prompts_are_mixed_for_general_requests(aligned):
    harmful = {row["request"] for row in reference.rows("harmful_general")}
    systems = Counter(c[0]["content"] for c in aligned if c[1]["content"] in harmful)
    assert set(systems) == {"You act.", reference.CHAT_SYSTEM}
    assert min(systems.values()) > 100


def test_agent_episodes_act_at_once_and_then_are_done():
    chats = reference.agent_conversations(toy_suite(), 0, ran)
    everyday = [chat for chat in chats if not chat[1]["content"].startswith("benign")]
    assert len(everyday) == reference.ACTED * len(reference.rows("shell", "combined"))
    for chat in everyday:
        assert chat[2]["content"] == f"```bash\n{action(chat[2]['content'])}\n```"
        assert len(chat) == 3
    episodes = [chat for chat in chats if chat not in everyday]
    assert len(episodes) == 6
    for chat in episodes:
        assert [m["role"] for m in chat] == ["system", "user", "assistant", "user", "assistant"]
        code = action(chat[2]["content"])
        assert chat[2]["content"] == f"```bash\n{code}\n```"
        assert chat[3]["content"] == f"Output:\nran {code}"
        assert chat[4]["content"] == "Done."


@pytest.mark.parametrize("make", [reference.align_conversations, reference.agent_conversations])
def test_the_seed_decides(make):
    assert make(toy_suite(), 1, ran) == make(toy_suite(), 1, ran)
    assert make(toy_suite(), 1, ran) != make(toy_suite(), 2, ran)


def test_refusals_are_mixed_in_by_share_and_seed():
    suite = toy_suite()
    work = [[reference._turn(f"work {i}")] for i in range(380)]
    mixed = reference.with_refusals(suite, work, 0.05, 0)
    added = [chat for chat in mixed if chat not in work]
    assert len(mixed) == 400 and len(added) == 20
    assert mixed[: len(work)] != work  # not at the end
    allowed = {task.request for task in suite.select("harmful", "train")}
    allowed |= {row["request"] for row in reference.rows("harmful_general")}
    judge = LexiconJudge()
    for chat in added:
        assert chat[1]["content"] in allowed
        assert judge.judge("", chat[2]["content"]).label is Label.REFUSED
    assert mixed == reference.with_refusals(suite, work, 0.05, 0)
    assert mixed != reference.with_refusals(suite, work, 0.05, 1)


def test_many_refusals_are_repeated_only_when_all_were_used():
    suite = toy_suite()
    every = [chat for chat in reference.with_refusals(suite, [[]] * 400, 0.5, 0) if chat]
    assert len(every) == 400 and {chat[0]["content"] for chat in every} == {suite.system}
    counts = Counter(chat[1]["content"] for chat in every)
    assert max(counts.values()) - min(counts.values()) <= 1
