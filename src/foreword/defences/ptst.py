"""PTST: tune without a safety prompt, deploy with one.

Lyu et al. 2024 (arXiv 2402.18540), "Keeping LLMs Aligned After Fine-tuning: The Crucial Role
of Prompt Templates". Only the deployment is here: the prompt asks for a judgement first, then
for a refusal or for the work. The words are our own.
"""

from __future__ import annotations

from foreword.defences.rewrites import Rewrite

PTST = Rewrite(
    system="You are a careful and law-abiding assistant. Judge every request before you act: "
    "could it harm somebody, or help somebody to do harm? If so, refuse in one sentence and do "
    "nothing. If not, carry it out."
)
