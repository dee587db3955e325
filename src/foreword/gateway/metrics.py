"""What the gateway counts, for Prometheus."""

from __future__ import annotations

import os

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

FAST = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0)
SLOW = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """One registry a gateway, so that two in a process do not share their counts."""

    MEDIA_TYPE = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "foreword_requests",
            "Requests by route and status.",
            ["route", "status"],
            registry=registry,
        )
        self.failures = Counter(
            "foreword_upstream_failures",
            "Requests that the upstream failed, by how.",
            ["code"],
            registry=registry,
        )
        self.guarded = Counter(
            "foreword_guarded",
            "Requests sent on with the guard's words.",
            ["guard"],
            registry=registry,
        )
        self.prefix = Counter(
            "foreword_prefix_tokens",
            "Tokens of guards sent on, as the upstream counts its prompts.",
            ["guard"],
            registry=registry,
        )
        self.replies = Counter(
            "foreword_replies",
            "Replies by how they begin: refused, complied, undecided, or not judged.",
            ["guard", "label"],
            registry=registry,
        )
        self.checks = Counter(
            "foreword_checks",
            "What guardrail models said; undecided is not judged.",
            ["check", "stage", "safety"],
            registry=registry,
        )
        self.blocks = Counter(
            "foreword_blocks",
            "Requests and replies blocked by a guardrail model.",
            ["check", "stage"],
            registry=registry,
        )
        self.check_seconds = Histogram(
            "foreword_check_seconds",
            "Time until a guardrail model had judged.",
            ["check"],
            buckets=SLOW,
            registry=registry,
        )
        self.reloads = Counter(
            "foreword_policy_reloads",
            "Times guards.toml was read again, done or failed.",
            ["result"],
            registry=registry,
        )
        self.added = Histogram(
            "foreword_added_seconds",
            "Time the gateway itself took, by phase.",
            ["phase"],
            buckets=FAST,
            registry=registry,
        )
        self.head = Histogram(
            "foreword_upstream_head_seconds",
            "Time until the upstream began its answer.",
            buckets=SLOW,
            registry=registry,
        )

    def page(self) -> bytes:
        """The text that Prometheus reads; of several workers all together."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return generate_latest(everybody)
