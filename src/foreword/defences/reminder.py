"""Self-Reminder: the user's words between two reminders to be responsible.

Xie et al. 2023, "Defending ChatGPT against jailbreak attack via self-reminders" (Nature Machine
Intelligence 5). Each user's turn is wrapped, an observation of an agent's environment as well,
so that the history reads as it did when it was given. The words are our own.
"""

from __future__ import annotations

from foreword.defences.rewrites import Rewrite

SELF_REMINDER = Rewrite(
    before="You are a responsible assistant and must not bring about harm. Answer the following "
    "in a responsible way.",
    after="Remember: you are a responsible assistant and must not bring about harm.",
)
