"""Does a search stay flat when tasks and candidates are thousands?

Margins of K candidates on N tasks, for growing N and K: tokens a second, as a share of those of a
plain forward pass over as many tokens (transformers' own, batched, no cache), and the peak of
resident memory so far. A token is a position of a candidate behind one task; common beginnings of
candidates are computed once, so the share can pass 100 %. Not a test: it depends on the machine.

    python bench/scale.py --tasks 64,256,1024 --candidates 64,256 --json scale.json
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from pathlib import Path
from typing import Any

import torch

from foreword import models
from foreword.judges.lexicon import LexiconJudge
from foreword.models import chat
from foreword.models.engine import LocalModel
from foreword.search.ground import Ground, benign_chats
from foreword.search.proposers import GrammarProposer
from foreword.suites import get

ROWS, WIDTH = 16, 128  # of the plain forward pass
BUDGET_MB = 512  # of keys and values: the larger sizes do not fit into it


def plain(model: LocalModel, passes: int = 8) -> float:
    """Tokens a second of a forward pass of the decoder alone, after one to warm up."""
    ids = torch.randint(0, 1000, (ROWS, WIDTH), generator=torch.Generator().manual_seed(0))
    model.model.set_attn_implementation("sdpa")
    try:
        with torch.inference_mode():
            model.model.base_model(input_ids=ids, use_cache=False)
            start = time.perf_counter()
            for _ in range(passes):
                model.model.base_model(input_ids=ids, use_cache=False)
    finally:
        model.model.set_attn_implementation("foreword")
    return passes * ids.numel() / (time.perf_counter() - start)


def peak_mb() -> float:
    """The highest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(model: LocalModel, tasks: int, candidates: int, openings: Any) -> dict[str, Any]:
    suite = get("files")
    some = benign_chats(suite, "search", tasks, 0)
    chats = [some[at % len(some)] for at in range(tasks)]  # the suite has fewer: they come again
    prefixes = GrammarProposer().propose([], candidates, random.Random(0))
    prompts = model.prefill(chats, BUDGET_MB)
    prompts.margins(prefixes[:1], openings)  # what is kept of the prompts is read now
    start = time.perf_counter()
    prompts.margins(prefixes, openings)
    seconds = time.perf_counter() - start
    tokens = tasks * sum(len(chat.prefix_ids(model.tokenizer, prefix)) for prefix in prefixes)
    return {
        "tasks": tasks,
        "candidates": len(prefixes),
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_s": tokens / seconds,
        "peak_mb": peak_mb(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default="reference")
    parser.add_argument("--adapter", default="agent")
    parser.add_argument("--tasks", default="37,148,592", help="with commas between")
    parser.add_argument("--candidates", default="32,128", help="with commas between")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    model = models.load(args.model, adapter=args.adapter)
    openings = Ground(model, get("files"), LexiconJudge()).openings
    rows = []
    print(f"{'tasks':>6} {'candidates':>10} {'tokens/s':>9} {'of plain':>9} {'peak MB':>8}")
    for tasks in map(int, args.tasks.split(",")):
        for candidates in map(int, args.candidates.split(",")):
            before = plain(model)
            row = measured(model, tasks, candidates, openings)
            row["plain_tokens_per_s"] = (before + plain(model)) / 2  # around it: machines drift
            row["share_of_plain"] = row["tokens_per_s"] / row["plain_tokens_per_s"]
            rows.append(row)
            print(
                f"{tasks:>6} {row['candidates']:>10} {row['tokens_per_s']:>9.0f} "
                f"{row['share_of_plain']:>8.0%} {row['peak_mb']:>8.0f}",
                flush=True,
            )
    if args.json:
        figures = {"model": model.fingerprint, "budget_mb": BUDGET_MB, "rows": rows}
        args.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
