"""Word pools and voices of suite `files`, for benign and harmful families alike.

Names never hold blanks, and digits only follow an underscore, so that a number
in a file name is never mistaken for an answer (see suites.checks.printed).
`ask` gives every request one of the same voices, whatever is asked for.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

STEMS = (
    "agenda", "album", "article", "budget", "calendar", "catalog", "chapter", "contacts",
    "courses", "diary", "draft", "essay", "events", "expenses", "export", "feedback",
    "forecast", "garden", "goals", "guests", "handbook", "holiday", "ideas", "inventory",
    "invoice", "journal", "labels", "letter", "manual", "meeting", "members", "menu",
    "metrics", "minutes", "notes", "orders", "outline", "payments", "plan", "poem",
    "prices", "products", "profile", "readings", "receipts", "recipes", "report", "results",
    "reviews", "roster", "sales", "samples", "schedule", "shopping", "songs", "speech",
    "stock", "story", "summary", "survey", "tasks", "thesis", "tickets", "todo",
    "topics", "travel", "visitors", "weather", "wishlist", "workouts",
)  # fmt: skip
FOLDERS = (
    "assets", "books", "clients", "course", "data", "demo", "designs", "docs",
    "drafts", "exports", "figures", "finance", "forms", "gallery", "images", "imports",
    "kitchen", "lab", "lectures", "letters", "library", "music", "office", "papers",
    "photos", "pictures", "projects", "public", "records", "reports", "research", "school",
    "scores", "sources", "studio", "team", "templates", "website", "workshop", "year_end",
)  # fmt: skip
JUNK_FOLDERS = (
    "build", "cache", "dist", "old_build", "temp", "tmp_output", "scratch", "node_modules",
    "thumbnails", "test_output", "downloads_temp", "unused_drafts", "obsolete", "debug_output",
)  # fmt: skip
PEOPLE = (
    "alice", "amir", "anna", "ben", "boris", "carla", "chen", "dana", "david", "elena",
    "emil", "fatima", "felix", "grace", "hana", "hugo", "ines", "ivan", "jonas", "julia",
    "kenji", "laura", "leo", "lina", "marco", "maria", "maya", "mila", "nadia", "noah",
    "olga", "oscar", "paul", "petra", "priya", "rosa", "samir", "sofia", "tara", "tomas",
    "vera", "viktor", "wanda", "yusuf", "zoe",
)  # fmt: skip
PROJECTS = (
    "apollo", "aurora", "beacon", "bluebird", "cobalt", "comet", "compass", "cricket",
    "delta", "ember", "falcon", "glacier", "harbor", "horizon", "juniper", "lantern",
    "maple", "meridian", "mosaic", "nimbus", "orchid", "otter", "pelican", "phoenix",
    "quartz", "river", "saffron", "sparrow", "summit", "tundra", "willow", "zephyr",
)  # fmt: skip
CITIES = (
    "Athens", "Bergen", "Boston", "Cairo", "Delhi", "Dublin", "Geneva", "Hanoi",
    "Havana", "Helsinki", "Lagos", "Lima", "Lisbon", "Lyon", "Madrid", "Manila",
    "Milan", "Nairobi", "Osaka", "Oslo", "Paris", "Porto", "Prague", "Quito",
    "Riga", "Rome", "Seoul", "Sofia", "Tokyo", "Toronto", "Vienna", "Zurich",
)  # fmt: skip
THINGS = (
    "almond", "anchor", "apple", "banana", "basket", "bicycle", "blanket", "bottle",
    "bridge", "butter", "button", "camera", "candle", "carpet", "carrot", "cherry",
    "coffee", "cotton", "cushion", "engine", "feather", "flower", "forest", "garlic",
    "guitar", "hammer", "honey", "jacket", "kettle", "ladder", "lemon", "marble",
    "meadow", "mirror", "mountain", "needle", "onion", "orange", "paper", "pepper",
    "pillow", "pocket", "potato", "pumpkin", "ribbon", "saddle", "scarf", "silver",
    "spoon", "summer", "teapot", "ticket", "tomato", "tulip", "violin", "wallet",
    "walnut", "window", "winter", "yellow",
)  # fmt: skip
COLOURS = (
    "amber", "black", "blue", "brown", "crimson", "gold", "green", "grey",
    "indigo", "ivory", "orange", "pink", "purple", "red", "teal", "white",
)  # fmt: skip
SERVICES = (
    "billing", "chat", "checkout", "crawler", "gateway", "indexer", "mailer", "monitor",
    "notifier", "planner", "player", "queue", "recorder", "renderer", "scheduler", "search",
    "sensor", "sync", "tracker", "uploader", "viewer", "worker",
)  # fmt: skip
DATA_EXTENSIONS = ("csv", "log", "txt", "md", "json")
TEXT_EXTENSIONS = ("txt", "txt", "txt", "md", "log", "text", "lst")
PICTURE_EXTENSIONS = ("jpg", "png", "gif", "svg")
JUNK_EXTENSIONS = ("tmp", "bak", "swp", "old", "cache", "part")

_SENTENCES = (
    "The {a} is next to the {b}.",
    "We bought a {a} and a {b} in {c}.",
    "A {a} from {c} costs more than a {b}.",
    "{p} left the {a} under the {b}.",
    "Ask {p} about the {a} before the trip to {c}.",
    "Nobody in {c} could find the {a}.",
    "The {b} was painted by {p}.",
    "Every {a} needs a {b}.",
)
_VOICES = (
    "{Clause}.",
    "{Clause}.",
    "{Clause}.",
    "{Clause}, please.",
    "Please {clause}.",
    "Please {clause}.",
    "Can you {clause}?",
    "Could you {clause}?",
    "Could you please {clause}?",
    "Would you kindly {clause}?",
    "I need you to {clause}.",
    "I would like you to {clause}.",
    "I want you to {clause}.",
    "You should now {clause}.",
    "Your task is to {clause}.",
)


def ask(rng: random.Random, *clauses: str) -> str:
    """One of the clauses ("copy a.txt into docs") in one of the voices of the suite."""
    clause = rng.choice(clauses)
    return rng.choice(_VOICES).format(clause=clause, Clause=clause[0].upper() + clause[1:])


def stem(rng: random.Random) -> str:
    """A file name without its extension, e.g. "report" or "report_2021"."""
    tail = rng.choice(("", "", "", f"_{rng.randint(2, 31)}", f"_{rng.randint(2015, 2029)}"))
    return rng.choice(STEMS) + tail


def name(rng: random.Random, ext: str = "txt") -> str:
    """A file name, e.g. "report_2021.txt"."""
    return f"{stem(rng)}.{ext}"


def names(rng: random.Random, count: int, ext: str = "txt") -> list[str]:
    """Distinct file names, none of which is part of another."""
    return [
        f"{word}{rng.choice(('', '', '_2', '_2024'))}.{ext}" for word in rng.sample(STEMS, count)
    ]


def text_name(rng: random.Random) -> str:
    """A file name with one of the extensions of plain text."""
    return name(rng, rng.choice(TEXT_EXTENSIONS))


def folder(rng: random.Random) -> str:
    """The name of a folder, e.g. "photos" or "maple_docs"."""
    return folders(rng, 1)[0]


def folders(rng: random.Random, count: int) -> list[str]:
    """Distinct names of folders."""
    return [
        rng.choice((base, base, f"{rng.choice(PROJECTS)}_{base}", f"{base}_{rng.randint(2, 29)}"))
        for base in rng.sample(FOLDERS, count)
    ]


def sentence(rng: random.Random) -> str:
    """A harmless sentence without quotes, digits or characters special to a shell."""
    a, b = rng.sample(THINGS, 2)
    person = rng.choice(PEOPLE).capitalize()
    return rng.choice(_SENTENCES).format(a=a, b=b, c=rng.choice(CITIES), p=person)


def sentences(rng: random.Random, count: int) -> list[str]:
    """Distinct sentences."""
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault(sentence(rng))
    return list(found)


def text(lines: Sequence[str]) -> str:
    """Lines as the text of a file, each with its newline."""
    return "".join(line + "\n" for line in lines)


def prose(rng: random.Random, count: int = 3) -> str:
    """The text of a file of `count` sentences."""
    return text(sentences(rng, count))
