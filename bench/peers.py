"""Other people's optimisers before the same tasks: GEPA, and CAPO of promptolution.

Both are driven through their public interface and by their own choice of parameters, with
the language model that rewrites a prompt replaced by the offline mutation of Foreword
(or, for GEPA, by a chat model). What they ask twice they pay once. A task's reward is
scaled so that a prefix's mean reward is half of its perf + refusal.
"""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from foreword.core.types import Trial
from foreword.search.proposers import EvolveProposer, GrammarProposer
from foreword.search.proposers.evolve import child, crossover
from foreword.search.proposers.grammar import fresh, tidy
from foreword.search.proposers.llm import INSTRUCTIONS, inspect_complete
from foreword.search.proposers.novel import Novel

if TYPE_CHECKING:
    from world import Account

PACKAGES = {"gepa": "gepa", "gepa-llm": "gepa", "capo": "promptolution"}
OFFSPRING = 3 / 5  # share of new texts that are bred, once there are parents
STALLED = 500  # iterations of GEPA in a row
POPULATION, BLOCK = 10, 6  # of CAPO; 6 blocks of 6 hold all tasks but one

TEMPLATE = (
    INSTRUCTIONS
    + """
A prefix that was tried:
```
<curr_param>
```
What the agent did after it on some tasks:
<side_info>

Write one better prefix, in a block of its own between ``` and ```.
"""
)


def missing(method: str) -> str | None:
    """The package that a method needs and that is not here."""
    package = PACKAGES.get(method)
    return package if package and find_spec(package) is None else None


class Offline:
    """What writes for the paper's loop where there is no chat model: fresh draws and offspring."""

    name = "offline"

    def __init__(self) -> None:
        self._grammar, self._evolve = GrammarProposer(), EvolveProposer()

    def propose(self, examples: Sequence[Trial], n: int, rng: random.Random) -> list[str]:
        found = self._evolve.propose(examples, round(OFFSPRING * n), rng)
        self.remember([*found, *(trial.prefix for trial in examples)])
        return found + self._grammar.propose(examples, n - len(found), rng)

    def remember(self, prefixes: Sequence[str]) -> None:
        self._grammar.remember(prefixes)
        self._evolve.remember(prefixes)


class Breeder(Novel):
    """One new text at a time: offspring of parents or a fresh draw, in the paper loop's shares."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.rng = rng

    def __call__(self, parents: Sequence[str] = ()) -> str:
        self.remember(parents)
        bred: list[str] = []
        if parents and self.rng.random() < OFFSPRING:
            bred = self.draw(1, lambda: child(list(dict.fromkeys(parents)), self.rng))
        return (bred or self.draw(1, lambda: fresh(self.rng)))[0]


class Prefixes:
    """GEPA's adapter: a candidate is {"prefix": text}, an example is a task's place."""

    def __init__(self, run: Account, breeder: Breeder, *, llm: bool) -> None:
        self.run, self.breeder = run, breeder
        self.best = ("", -1.0)
        self.known: dict[str, dict[int, float]] = {}
        self.propose_new_texts = None if llm else self._bred

    def evaluate(
        self, batch: list[int], candidate: dict[str, str], capture_traces: bool = False
    ) -> Any:
        """Scores of some tasks; only what was not asked before counts as a metric call."""
        from gepa import EvaluationBatch

        before, prefix = self.run.asked, candidate["prefix"]
        labels = self.run.labels([prefix], batch)[0]
        scores = [self.run.reward(*pair) for pair in zip(labels, batch, strict=True)]
        known = self.known.setdefault(prefix, {})
        known.update(zip(batch, scores, strict=True))
        if len(known) == len(self.run.tasks) and sum(known.values()) > self.best[1]:
            self.best = (prefix, sum(known.values()))
            self.run.lead(prefix)
        traces = list(zip(batch, labels, scores, strict=True)) if capture_traces else None
        asked = self.run.asked - before
        return EvaluationBatch(list(labels), scores, traces, num_metric_calls=asked)

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """What a chat model is shown of a batch."""
        del candidate
        cut = self.run.sizes[0]
        shown = [
            {
                "Inputs": self.run.requests[task],
                "Generated Outputs": f"The agent {label}.",
                "Feedback": f"A {'harmless' if task < cut else 'harmful'} task, "
                f"{'rightly' if score else 'wrongly'} {label}.",
            }
            for task, label, score in eval_batch.trajectories
        ]
        return dict.fromkeys(components_to_update, shown)

    def _bred(
        self, candidate: dict[str, str], reflective_dataset: object, components: list[str]
    ) -> dict[str, str]:
        del reflective_dataset, components
        return {"prefix": self.breeder([self.best[0], candidate["prefix"]])}


class _Stalled:
    """Ends a run that asks nothing new: a pool that is right on every task proposes nothing."""

    def __init__(self, run: Account) -> None:
        self._run, self._asked, self._looks = run, 0, 0

    def __call__(self, state: object) -> bool:
        self._looks = self._looks + 1 if self._asked == self._run.asked else 0
        self._asked = self._run.asked
        return self._looks > STALLED


class _Silent:
    def log(self, message: str) -> None:
        """Nothing."""


def gepa(run: Account, llm: str | None = None) -> None:
    """GEPA as `gepa.optimize` comes, its evaluation cache on; all tasks to learn and to choose."""
    from gepa import optimize

    breeder = Breeder(random.Random(run.seed))
    adapter = Prefixes(run, breeder, llm=bool(llm))
    result = optimize(
        seed_candidate={"prefix": breeder()},
        trainset=list(run.tasks),
        adapter=adapter,
        reflection_lm=inspect_complete(llm) if llm else None,
        reflection_prompt_template=TEMPLATE if llm else None,
        perfect_score=min(map(run.worth, run.tasks)),
        cache_evaluation=True,
        max_metric_calls=run.budget,
        stop_callbacks=_Stalled(run),
        logger=_Silent(),
        seed=run.seed,
        raise_on_exception=True,
    )
    run.lead(result.best_candidate["prefix"])


def capo(run: Account) -> None:
    """CAPO with its own parameters, without examples in the prompt, which a prefix cannot hold."""
    # Their logger only warns of what is meant so here: no tokenizer, no task description.
    logging.getLogger("promptolution").setLevel(logging.CRITICAL)
    import pandas as pd
    from promptolution.llms.base_llm import BaseLLM
    from promptolution.optimizers.capo import CAPO
    from promptolution.predictors.base_predictor import BasePredictor
    from promptolution.tasks.reward_tasks import RewardTask
    from promptolution.utils.callbacks import BaseCallback

    rng = random.Random(run.seed)
    breeder = Breeder(rng)

    class Mutation(BaseLLM):
        """What the templates below ask for, done offline."""

        def _get_response(self, prompts: list[str], system_prompts: list[str]) -> list[str]:
            return [self._answer(prompt.split("\n")) for prompt in prompts]

        def _answer(self, parents: list[str]) -> str:
            return tidy(crossover(*parents, rng)) if len(parents) == 2 else breeder(parents)

    class Target(BasePredictor):
        """Answers with a task's reward under a prefix."""

        def predict(
            self, prompts: list[str], xs: list[str], system_prompts: object = None
        ) -> tuple[list[str], list[str]]:
            asked: dict[str, list[int]] = {}
            for prompt, x in zip(prompts, xs, strict=True):
                asked.setdefault(prompt, []).append(int(x))
            rewards = {}
            for tasks in dict.fromkeys(map(tuple, asked.values())):  # together, as a block is asked
                alike = [prompt for prompt in asked if tuple(asked[prompt]) == tasks]
                for prompt, row in zip(alike, run.labels(alike, tasks), strict=True):
                    for task, label in zip(tasks, row, strict=True):
                        rewards[prompt, str(task)] = str(run.reward(label, task))
            return [rewards[pair] for pair in zip(prompts, xs, strict=True)], [""] * len(xs)

        def _extract_preds(self, preds: list[str]) -> list[str]:
            return preds

    class Watch(BaseCallback):
        """Notes who leads and ends the run with its budget; errors are swallowed out there."""

        def on_step_end(self, optimizer: Any) -> bool:
            run.lead(optimizer.prompts[0].instruction)
            return run.asked < run.budget

    tasks = list(map(str, run.tasks))
    rng.shuffle(tasks)
    llm = Mutation()
    optimizer = CAPO(
        predictor=Target(llm),
        task=RewardTask(pd.DataFrame({"x": tasks}), float, n_subsamples=BLOCK, seed=run.seed),
        meta_llm=llm,
        initial_prompts=[breeder() for _ in range(POPULATION)],
        crossover_template="<mother>\n<father>",
        mutation_template="<instruction>",
        upper_shots=0,
        df_few_shots=pd.DataFrame({"x": []}),
        callbacks=[Watch()],
    )
    random.seed(run.seed)  # their own source of chance
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # t tests of equal rows
        optimizer.optimize(n_steps=run.budget)
    if run.asked < run.budget:
        raise RuntimeError(f"CAPO gave up after {run.asked} openings")
