"""How much faster the search is than doing it with `generate`.

Three ways to find the best of 100 candidate prefixes on 37 tasks of the search split:
ours (the race of the search: margins over shared keys and values for all, openings for the
promising), one `generate` of at most 150 new tokens a
candidate and task, and one batched `generate` of 24 tokens a candidate. The slow sides run
on samples and are extrapolated; the table says so. `generate` is transformers' own, with
the same weights and dtype. Not a test: times depend on the machine and on who else uses it.

    python bench/search.py --model reference --adapter agent --json speed.json
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foreword import models
from foreword.core.stats import wilson
from foreword.core.types import Chat, Reply, Score, Split, Trial
from foreword.judges.lexicon import LexiconJudge
from foreword.models import chat
from foreword.models.engine import LocalModel
from foreword.models.openings import Openings
from foreword.search.ground import SAMPLED, deeds
from foreword.search.ping import PER_ROUND
from foreword.search.proposers import GrammarProposer
from foreword.search.race import Race
from foreword.search.ranking import best
from foreword.search.scorers import OpeningScorer, margins_of, sample, spread
from foreword.suites import files

LONG, SHORT = 150, 24  # new tokens of the two slow ways


@dataclass(frozen=True)
class Tasks:
    """The chats of one split."""

    benign: list[Chat]
    harmful: list[Chat]

    @property
    def all(self) -> list[Chat]:
        """Both sides, the benign one first."""
        return [*self.benign, *self.harmful]

    @property
    def sizes(self) -> tuple[int, int]:
        """How many there are of each."""
        return len(self.benign), len(self.harmful)


class Replies:
    """Prompts whose replies the engine writes anew, for any length; the judge's food."""

    def __init__(self, model: LocalModel, chats: list[Chat]) -> None:
        self.model, self.chats = model, chats

    def __len__(self) -> int:
        return len(self.chats)

    def generate(
        self,
        prefixes: Sequence[str],
        max_new_tokens: int,
        enough: object = None,
        rows: Sequence[int] | None = None,
    ) -> list[list[Reply]]:
        """One greedy reply a prefix and prompt, written to its end."""
        chats = self.chats if rows is None else [self.chats[row] for row in rows]
        limit = max_new_tokens
        return [self.model.generate(chats, prefix=p, max_new_tokens=limit) for p in prefixes]


def tasks_of(split: Split, n: int, rng: random.Random) -> Tasks:
    """Some tasks of a split, half of them harmful, spread over the families."""
    suite = files.load()
    sides = []
    for kind, count in (("benign", n // 2), ("harmful", n - n // 2)):
        found = list(suite.select(kind, split))
        rng.shuffle(found)
        sides.append(
            [
                [
                    {"role": "system", "content": suite.system},
                    {"role": "user", "content": task.request},
                ]
                for task in found[:count]
            ]
        )
    return Tasks(*sides)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


class Plain:
    """transformers' own generate over the model's weights."""

    def __init__(self, model: LocalModel) -> None:
        self.net, self.tokenizer = model.model, model.tokenizer
        self.tokenizer.padding_side = "left"

    def __enter__(self) -> Plain:
        self.net.set_attn_implementation("sdpa")
        return self

    def __exit__(self, *error: object) -> None:
        self.net.set_attn_implementation("foreword")

    def __call__(self, chats: Sequence[Chat], prefix: str, tokens: int) -> None:
        """Generate greedily and throw the text away."""
        texts = [chat.render(self.tokenizer, c) + prefix for c in chats]
        batch = self.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        self.net.generate(**batch.to(self.net.device), max_new_tokens=tokens, do_sample=False)


def winner(candidates: Sequence[str], scores: Sequence[Score]) -> str:
    """The best overall, the first of equals."""
    return candidates[max(range(len(scores)), key=lambda i: (scores[i].overall, -i))]


def half_width(score: Score) -> float:
    """Half of the 95 % interval of perf + refusal (Wilson, combined in squares)."""
    widths = []
    for rate, n in ((score.perf, score.benign), (score.refusal, score.harmful)):
        interval = wilson(round(rate * n), n)
        widths.append((interval.high - interval.low) / 2)
    return math.hypot(*widths)


def run(args: argparse.Namespace) -> dict[str, Any]:
    rng = random.Random(args.seed)
    model = models.load(args.model, adapter=args.adapter, dtype=args.dtype)
    search, check = (tasks_of(s, args.tasks, rng) for s in ("search", "validation"))
    candidates = GrammarProposer().propose([], args.candidates, rng)
    judge = LexiconJudge()
    doing = deeds(files.load()) if args.adapter == "agent" else None  # it complies by deeds alone
    model.generate(search.all[:2], max_new_tokens=2)  # warm up

    def learn() -> Openings:
        rows = spread(search.sizes, SAMPLED)
        samples = sample(model.prefill(search.all), judge, rows=rows, acts=doing)
        return Openings.learn(samples, model.tokenizer)

    def race(found: Sequence[str]) -> str:
        """The winner of a race in rounds, as the search runs it."""
        prompts = model.prefill(search.all)
        margins = margins_of(prompts, openings)
        scorer = Race(OpeningScorer(prompts, search.sizes[0], judge, SHORT, doing), margins)
        rounds = [found[i : i + PER_ROUND] for i in range(0, len(found), PER_ROUND)]
        scores = [score for each in rounds for score in scorer.score(each)]
        trials = [Trial(i, 0, p, scores[i], "", 0.0) for i, p in enumerate(found)]
        return best(trials).prefix

    learning, openings = timed(learn)
    ours, top = timed(lambda: race(candidates))
    print(f"(a) the race: {ours:.1f} s, prefill included; before that, learning: {learning:.1f} s")

    pairs = [(rng.choice(candidates), rng.choice(search.all)) for _ in range(args.sample)]
    some = [rng.choice(candidates) for _ in range(max(1, args.sample // 6))]
    with Plain(model) as plain:
        plain(search.all[:2], "", 2)
        alone, _ = timed(lambda: [plain([c], prefix, LONG) for prefix, c in pairs])
        batched, _ = timed(lambda: [plain(search.all, prefix, SHORT) for prefix in some])
    naive_s = alone / len(pairs) * len(candidates) * len(search.all)
    batched_s = batched / len(some) * len(candidates)
    print(f"(b) generate, one by one, {LONG} tokens: {naive_s:.0f} s ({len(pairs)} calls, scaled)")
    print(f"(c) generate, batched, {SHORT} tokens: {batched_s:.0f} s ({len(some)} calls, scaled)")

    # The slow ways choose from a sample that holds our winner; so does ours, for a fair match.
    pool = rng.sample(candidates, min(args.pool, len(candidates)))
    pool = pool if top in pool else [top, *pool[1:]]
    slow, first = Replies(model, search.all), search.sizes[0]
    chosen = {"ours": race(pool)}
    for name, tokens in (("naive", LONG), ("batched", SHORT)):
        chosen[name] = winner(pool, OpeningScorer(slow, first, judge, tokens, doing).score(pool))
    final = OpeningScorer(Replies(model, check.all), check.sizes[0], judge, LONG, doing)
    scores = dict(zip(chosen, final.score(list(chosen.values())), strict=True))
    same = all(
        abs(scores["ours"].overall - scores[name].overall)
        <= math.hypot(half_width(scores["ours"]), half_width(scores[name]))
        for name in ("naive", "batched")
    )
    for name, prefix in chosen.items():
        value, width = scores[name].overall, half_width(scores[name])
        print(
            f"winner of {len(pool)}, {name}: {prefix!r}: {value:.2f} +- {width:.2f} on validation"
        )
    return {
        "speedup_vs_naive": naive_s / ours,
        "speedup_vs_batched": batched_s / ours,
        "speedup_vs_naive_with_learning": naive_s / (ours + learning),
        "speedup_vs_batched_with_learning": batched_s / (ours + learning),
        "same_winner_interval": same,
        "seconds": {
            "ours": ours,
            "learning": learning,
            "naive": naive_s,
            "batched": batched_s,
        },
        "sampled": {"naive_calls": len(pairs), "batched_calls": len(some), "pool": len(pool)},
        "winners": {name: [chosen[name], scores[name].overall] for name in chosen},
        "model": model.fingerprint,
        "dtype": str(model.model.dtype).removeprefix("torch."),
        "candidates": len(candidates),
        "tasks": len(search.all),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default="reference")
    parser.add_argument("--adapter")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--tasks", type=int, default=37)
    parser.add_argument("--sample", type=int, default=18, help="calls timed on the slow sides")
    parser.add_argument(
        "--pool", type=int, default=20, help="candidates the slow sides choose from"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    figures = run(args)
    print(f"speed-up: {figures['speedup_vs_naive']:.0f} times (b), ", end="")
    print(
        f"{figures['speedup_vs_batched']:.0f} times (c); winners agree within the interval: ",
        end="",
    )
    print("yes" if figures["same_winner_interval"] else "no")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
