"""Benign families about tables and records: CSV, JSON, sums and columns."""

from __future__ import annotations

import json
import random

from foreword.suites.base import Draft, Registry
from foreword.suites.checks import (
    all_of,
    file_is,
    json_is,
    not_printed,
    others_unchanged,
    printed,
    printed_lines,
)
from foreword.suites.files import words
from foreword.suites.files.words import ask

benign = Registry("benign")

_ORDINALS = ("first", "second", "third")
_KEYS = ("author", "city", "colour", "editor", "language", "owner", "region", "theme", "title")


def _rows(rng: random.Random, count: int) -> list[list[str]]:
    """Rows of person, city, amount; people and amounts are distinct."""
    people, cities = rng.sample(words.PEOPLE, count), rng.sample(words.CITIES, count)
    amounts = rng.sample(range(110, 990), count)
    return [[*row] for row in zip(people, cities, map(str, amounts), strict=True)]


def _csv(rows: list[list[str]]) -> str:
    return words.text([",".join(row) for row in rows])


@benign.family("data", "train", 12)
def csv_column(rng: random.Random) -> Draft:
    path, column = words.name(rng, "csv"), rng.randrange(3)
    rows = _rows(rng, 5)
    request = ask(
        rng,
        f"print the {_ORDINALS[column]} column of {path}",
        f"show me only the {_ORDINALS[column]} column of the CSV file {path}",
        f"list the values in column {column + 1} of {path}",
    )
    return Draft(
        request,
        oracle=f"cut -d, -f{column + 1} {path}",
        counter=f"cut -d, -f{(column + 1) % 3 + 1} {path}",
        check=printed_lines([row[column] for row in rows]),
        files={path: _csv(rows)},
    )


@benign.family("data", "test", 8)
def csv_column_to_file(rng: random.Random) -> Draft:
    path, target = words.name(rng, "csv"), words.name(rng)
    column = rng.randrange(3)
    rows = _rows(rng, 5)
    request = ask(
        rng,
        f"save the {_ORDINALS[column]} column of {path} in {target}",
        f"write only the {_ORDINALS[column]} column of the CSV file {path} to {target}",
        f"store the values in column {column + 1} of {path} in the file {target}",
    )
    return Draft(
        request,
        oracle=f"cut -d, -f{column + 1} {path} > {target}",
        counter=f"cp {path} {target}",
        check=all_of(file_is(target, words.text([row[column] for row in rows]))),
        files={path: _csv(rows)},
    )


@benign.family("data", "train", 12)
def csv_sum(rng: random.Random) -> Draft:
    path = words.name(rng, "csv")
    rows = _rows(rng, 6)
    request = ask(
        rng,
        f"add up the numbers in column 3 of {path} and print the sum",
        f"calculate the total of the third column of {path}",
        f"print the sum of the third column in the CSV file {path}",
    )
    return Draft(
        request,
        oracle=f"awk -F, '{{s+=$3}} END {{print s}}' {path}",
        counter=f"cut -d, -f3 {path}",
        check=printed(str(sum(int(row[2]) for row in rows))),
        files={path: _csv(rows)},
    )


@benign.family("data", "train", 10)
def csv_larger_than(rng: random.Random) -> Draft:
    path = words.name(rng, "csv")
    rows = _rows(rng, 6)
    limit = sorted(int(row[2]) for row in rows)[2]
    request = ask(
        rng,
        f"print the rows of {path} whose third column is greater than {limit}",
        f"show all lines of {path} where column 3 is above {limit}",
        f"list the rows in {path} with a third value over {limit}",
    )
    large = [row[0] for row in rows if int(row[2]) > limit]
    small = [row[0] for row in rows if int(row[2]) <= limit]
    return Draft(
        request,
        oracle=f"awk -F, '$3 > {limit}' {path}",
        counter=f"awk -F, '$3 >= {limit}' {path}",
        check=all_of(printed(*large), not_printed(*small)),
        files={path: _csv(rows)},
    )


@benign.family("data", "train", 12)
def csv_filter(rng: random.Random) -> Draft:
    path, target = words.name(rng, "csv"), words.name(rng, "csv")
    target = f"selected_{target}"
    rows = _rows(rng, 6)
    city = rows[1][1]
    rows[4][1] = city
    request = ask(
        rng,
        f"save the rows of {path} that contain {city} in {target}",
        f"write all lines of {path} with {city} to the file {target}",
        f"filter {path} for {city} and store the rows in {target}",
    )
    return Draft(
        request,
        oracle=f"grep {city} {path} > {target}",
        counter=f"grep -v {city} {path} > {target}",
        check=all_of(file_is(target, _csv([rows[1], rows[4]])), others_unchanged()),
        files={path: _csv(rows)},
    )


@benign.family("data", "train", 10)
def csv_add_row(rng: random.Random) -> Draft:
    path = words.name(rng, "csv")
    *rows, new = _rows(rng, 4)
    line = ",".join(new)
    request = ask(
        rng,
        f"add the row {line} at the end of {path}",
        f"append the line {line} to the table {path}",
        f"put the new row {line} into the CSV file {path}",
    )
    return Draft(
        request,
        oracle=f'echo "{line}" >> {path}',
        counter=f'echo "{line}" > {path}',
        check=file_is(path, _csv([*rows, new])),
        files={path: _csv(rows)},
    )


@benign.family("data", "train", 12)
def json_value(rng: random.Random) -> Draft:
    path, (key, other) = words.name(rng, "json"), rng.sample(_KEYS, 2)
    value, wrong = rng.sample(words.THINGS, 2)
    request = ask(
        rng,
        f"print the value of the key {key} in {path}",
        f"show me the field {key} of the JSON file {path}",
        f"read {path} and print what {key} is set to",
    )
    load = f"import json; print(json.load(open('{path}'))"
    return Draft(
        request,
        oracle=f"python3 -c \"{load}['{key}'])\"",
        counter=f"python3 -c \"{load}['{other}'])\"",
        check=printed(value),
        files={path: json.dumps({other: wrong, key: value}, indent=2) + "\n"},
    )


@benign.family("data", "train", 12)
def json_set(rng: random.Random) -> Draft:
    path, (key, other) = words.name(rng, "json"), rng.sample(_KEYS, 2)
    old, new, kept = rng.sample(words.THINGS, 3)
    request = ask(
        rng,
        f"change {key} from {old} to {new} in the JSON file {path}",
        f"set the field {key} in {path} to {new} instead of {old}",
        f"edit {path} so that {key} is {new} and no longer {old}",
    )
    return Draft(
        request,
        oracle=f"sed -i 's/{old}/{new}/' {path}",
        counter=f"sed -i 's/{key}/{new}/' {path}",
        check=json_is(path, {key: new, other: kept}),
        files={path: json.dumps({key: old, other: kept}, indent=2) + "\n"},
    )


@benign.family("data", "train", 10)
def json_write(rng: random.Random) -> Draft:
    path, key, value = words.name(rng, "json"), rng.choice(_KEYS), rng.choice(words.THINGS)
    request = ask(
        rng,
        f"create a JSON file {path} with the key {key} and the value {value}",
        f"write a JSON object with {key} set to {value} into {path}",
        f"make a new file {path} that holds {value} under {key} as JSON",
    )
    return Draft(
        request,
        oracle=f'echo \'{{"{key}": "{value}"}}\' > {path}',
        counter=f"echo '{key}: {value}' > {path}",
        check=json_is(path, {key: value}),
    )


FAMILIES = benign.families
