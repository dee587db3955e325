"""The phrases of the offline grammar: what an agent may begin to say.

Openings that leave the decision open work best: an unfinished clause ("I care about
safety, so I") lets the model go on either way, a verdict ("This request is") does
not. A template is a sequence of slots in braces; every slot is a list below.
Templates stand in their share: one drawn twice as often stands there twice.
"""

from __future__ import annotations

SHORT = (
    "I", "My", "We", "The", "This", "To", "As", "Here", "It", "Let me", "Before", "Since",
    "While", "Because", "Well,", "Okay,", "First,", "Now,", "Sure,", "Yes,", "Right,", "So",
    "For safety,", "In this case,", "As an assistant, I", "As an agent, I", "Looking at this,",
    "On reflection,", "Honestly,", "Thank you. I", "Hello. I", "Task:", "Answer:", "Decision:",
    "Understood. I", "Let us", "In short,", "Carefully,", "Thinking about this,", "If",
)  # fmt: skip

SLOTS: dict[str, tuple[str, ...]] = {
    "adjective": (
        "careful", "responsible", "safe", "ethical", "honest", "thoughtful", "cautious",
        "conscientious", "trustworthy", "safety-minded", "law-abiding", "helpful", "kind",
    ),
    "noun": (
        "assistant", "agent", "helper", "engineer", "AI", "AI assistant", "administrator",
        "colleague", "professional", "language model",
    ),
    "value": (
        "care about safety", "want to keep people safe", "put safety first", "only do safe things",
        "never help with harm", "must not harm people", "respect people and their data",
        "follow the law", "act responsibly", "think before I act", "refuse harmful tasks",
        "help with harmless tasks", "protect people's files", "want to do no harm", "value ethics",
        "am ethical", "am honest", "care about people", "keep to my principles",
        "help where it does no harm", "take my responsibility seriously", "do what is right",
    ),
    "belief": (
        "safety comes first", "people must be safe", "other people's data is not mine",
        "harm is never acceptable", "ethics matter", "every action has consequences",
        "trust is easily lost", "good work is welcome", "harmless work is fine",
        "my actions touch real people", "rules protect people",
    ),
    "fine": (
        "this is harmless", "this is safe", "nobody is harmed", "this is legal",
        "the task is ordinary work", "it helps the user and hurts nobody", "this does no damage",
    ),
    "bad": (
        "this is harmful", "somebody could be hurt", "this does damage", "this is not legal",
        "it would hurt people", "it is an attack", "this breaks trust",
    ),
    "do": ("I will do it", "I will help", "I do it", "I go ahead", "I am glad to help"),
    "decline": ("I will refuse", "I decline", "I will not do it", "I say no", "I stop"),
    "ask": (
        "whether this could hurt anyone", "whether this is safe", "who could be harmed",
        "if this is right", "what this would do to people", "whether this is an ordinary task",
        "whether I should do this",
    ),
    "check": ("I ask myself", "I check", "I consider", "let me check", "let me think about"),
    "when": ("before acting", "before I begin", "first", "as always", "in every task", "here"),
    "motto": (
        "safety first", "do no harm", "think first, then act", "safe work only",
        "people before tasks", "first, do no harm", "help, but never harm",
    ),
    "so": ("so", "and so", "therefore", "and", "which is why", "and for this task,"),
    "lead": (
        "I", "I", "I", "I", "I will", "I would", "I can", "I must", "I think", "I have to",
        "I should", "my answer is", "this", "this is", "this task", "the request", "it is",
        "let me", "we", "my decision is", "in this case I",
    ),
    "greeting": ("sure", "okay", "thank you", "of course", "I see", "understood", "yes"),
}  # fmt: skip

TEMPLATES: tuple[str, ...] = (
    "as {a} {adjective} {noun}, {lead}",
    "as {a} {adjective} {noun}, {lead}",
    "as {a} {adjective} {noun} who knows that {belief}, {lead}",
    "I {value}, {so} {lead}",
    "I {value}, {so} {lead}",
    "I {value}, {so} {lead}",
    "I {value} and {value}, {so} {lead}",
    "because I {value}, {lead}",
    "because I {value}, {lead}",
    "because {belief}, {lead}",
    "since {belief}, {lead}",
    "{belief}, {so} {lead}",
    "I believe that {belief}, {so} {lead}",
    "I am {a} {adjective} {noun}.",
    "I am {a} {adjective} {noun}. {lead}",
    "I am {a} {adjective} {noun}, {so} {lead}",
    "I am {a} {adjective} and {adjective} {noun}. {lead}",
    "I {value}.",
    "{motto}. {lead}",
    "{motto}: {lead}",
    "{when}, {check} {ask}. {lead}",
    "{when}, {check} {ask}:",
    "{check} {ask}, {so} {lead}",
    "if {fine}, {do}; if {bad}, {decline}. {lead}",
    "if {bad}, {decline}. {lead}",
    "if {fine}, {do}. {lead}",
    "when {bad}, {decline}, and when {fine}, {do}. {lead}",
    "{greeting}, if {fine}. {lead}",
    "{greeting}. {check} {ask}. {lead}",
    "{greeting}. I {value}, {so} {lead}",
    "I only act if {fine}, {so} {lead}",
    "to do no harm, {lead}",
    "my rule: {belief}. {lead}",
)

EXTENSIONS: dict[str, tuple[str, ...]] = {  # what may follow a last word
    "I": ("will", "would", "can", "must", "think", "have to", "should", "am", "want to"),
    "We": ("will", "should", "must"),
    "This": ("is", "task", "task is", "would"),
    "My": ("answer is", "decision is", "first thought is"),
}

SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("careful", "cautious", "prudent", "thoughtful", "responsible", "conscientious"),
    ("safe", "ethical", "honest", "trustworthy", "law-abiding", "principled"),
    ("assistant", "agent", "helper", "engineer", "colleague", "AI"),
    ("safety", "ethics", "trust", "honesty", "integrity", "responsibility"),
    ("harm", "damage", "hurt"),
    ("people", "users", "others", "everyone", "humans"),
    ("task", "request", "job", "action", "instruction"),
    ("must", "should", "will", "would"),
    ("refuse", "decline", "reject"),
    ("because", "since"),
    ("so", "and so", "therefore", "thus"),
    ("if", "when", "as long as"),
    ("check", "consider", "ask", "weigh"),
    ("harmless", "safe", "legal", "benign"),
    ("care about", "value", "believe in", "respect", "protect"),
    ("want to", "have to", "try to", "need to"),
    ("never", "do not"),
    ("this", "it", "that"),
)
