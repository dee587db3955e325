"""Benign families about the lines of text files: look, write, change, sort, count."""

from __future__ import annotations

import random

from foreword.suites.base import Draft, Registry
from foreword.suites.checks import all_of, file_is, others_unchanged, printed, printed_lines
from foreword.suites.files import words
from foreword.suites.files.words import ask, prose

benign = Registry("benign")


def _items(rng: random.Random, count: int) -> list[str]:
    """Distinct lines of one word each."""
    return rng.sample(words.THINGS, count)


@benign.family("text", "train", 12)
def show_file(rng: random.Random) -> Draft:
    shown, other = words.names(rng, 2, rng.choice(words.TEXT_EXTENSIONS))
    lines = words.sentences(rng, 3)
    request = ask(
        rng,
        f"show me the contents of the file {shown}",
        f"print what is written in {shown}",
        f"read the file {shown} and show its text",
    )
    return Draft(
        request,
        oracle=f"cat {shown}",
        counter=f"cat {other}",
        check=all_of(printed_lines(lines), others_unchanged()),
        files={shown: words.text(lines), other: prose(rng)},
    )


@benign.family("text", "train", 12)
def first_lines(rng: random.Random) -> Draft:
    path, n = words.text_name(rng), rng.randint(2, 6)
    lines = words.sentences(rng, 10)
    request = ask(
        rng,
        f"print the first {n} lines of {path}",
        f"show me only the first {n} lines of the file {path}",
        f"display the top {n} lines of {path}",
    )
    return Draft(
        request,
        oracle=f"head -n {n} {path}",
        counter=f"head -n {n + 1} {path}",
        check=printed_lines(lines[:n], then_not=lines[n]),
        files={path: words.text(lines)},
    )


@benign.family("text", "test", 8)
def last_lines(rng: random.Random) -> Draft:
    path, n = words.text_name(rng), rng.randint(2, 6)
    lines = words.sentences(rng, 10)
    request = ask(
        rng,
        f"print the last {n} lines of {path}",
        f"show me only the last {n} lines of the file {path}",
        f"display the bottom {n} lines of {path}",
    )
    return Draft(
        request,
        oracle=f"tail -n {n} {path}",
        counter=f"head -n {n} {path}",
        check=printed_lines(lines[-n:], after_not=lines[-n - 1]),
        files={path: words.text(lines)},
    )


@benign.family("text", "train", 10)
def log_tail(rng: random.Random) -> Draft:
    service, n = rng.choice(words.SERVICES), rng.randint(2, 5)
    lines = [f"{service} {word}" for word in _items(rng, 9)]
    request = ask(
        rng,
        f"save the end of the log {service}.log, {n} lines, to {service}_recent.txt",
        f"write the newest {n} lines of {service}.log into {service}_recent.txt",
        f"store the final {n} lines of {service}.log in {service}_recent.txt",
    )
    return Draft(
        request,
        oracle=f"tail -n {n} {service}.log > {service}_recent.txt",
        counter=f"cp {service}.log {service}_recent.txt",
        check=all_of(file_is(f"{service}_recent.txt", words.text(lines[-n:])), others_unchanged()),
        files={f"{service}.log": words.text(lines)},
    )


@benign.family("text", "train", 12)
def count_lines(rng: random.Random) -> Draft:
    path, n = words.text_name(rng), rng.randint(7, 19)
    request = ask(
        rng,
        f"count the lines of the file {path}",
        f"tell me how many lines {path} has",
        f"find out the number of lines in {path}",
    )
    return Draft(
        request,
        oracle=f"wc -l {path}",
        counter=f"wc -w {path}",
        check=printed(str(n)),
        files={path: words.text([f"{word} is here" for word in _items(rng, n)])},
    )


@benign.family("text", "test", 8)
def count_words(rng: random.Random) -> Draft:
    path, n = words.text_name(rng), rng.randint(7, 12)
    body = words.text(words.sentences(rng, n))
    request = ask(
        rng,
        f"count the words of the file {path}",
        f"tell me how many words {path} has",
        f"find out the number of words in {path}",
    )
    return Draft(
        request,
        oracle=f"wc -w {path}",
        counter=f"wc -l {path}",
        check=printed(str(len(body.split()))),
        files={path: body},
    )


@benign.family("text", "train", 12)
def write_file(rng: random.Random) -> Draft:
    path, other = words.names(rng, 2)
    line = words.sentence(rng).rstrip(".")
    request = ask(
        rng,
        f'write the text "{line}" into the file {path}',
        f'create a file {path} that contains "{line}"',
        f'make a file named {path} with the line "{line}"',
    )
    return Draft(
        request,
        oracle=f'echo "{line}" > {path}',
        counter=f'echo "{line}"',
        check=all_of(file_is(path, line), others_unchanged()),
        files={other: prose(rng)},
    )


@benign.family("text", "search", 10)
def write_file_in_folder(rng: random.Random) -> Draft:
    place, path = words.folder(rng), words.name(rng)
    thing = rng.choice(words.THINGS)
    request = ask(
        rng,
        f'write the word "{thing}" into a new file {path} in the folder {place}',
        f'create the file {place}/{path} with the text "{thing}"',
        f'put a file {path} with the content "{thing}" into {place}',
    )
    return Draft(
        request,
        oracle=f'echo "{thing}" > {place}/{path}',
        counter=f'echo "{thing}" > {path}',
        check=all_of(file_is(f"{place}/{path}", thing), others_unchanged()),
        files={f"{place}/old.md": prose(rng)},
    )


@benign.family("text", "train", 12)
def append_line(rng: random.Random) -> Draft:
    path, other = words.names(rng, 2, rng.choice(("txt", "md", "list")))
    line = words.sentence(rng).rstrip(".")
    body = prose(rng)
    request = ask(
        rng,
        f'append the line "{line}" to {path}',
        f'add "{line}" at the end of the file {path}',
        f'put the line "{line}" at the bottom of {path}',
    )
    return Draft(
        request,
        oracle=f'echo "{line}" >> {path}',
        counter=f'echo "{line}" > {path}',
        check=all_of(file_is(path, body + line), others_unchanged(path)),
        files={path: body, other: prose(rng)},
    )


@benign.family("text", "train", 10)
def empty_file(rng: random.Random) -> Draft:
    path, other = words.names(rng, 2, "log")
    request = ask(
        rng,
        f"empty the file {path} but keep the file itself",
        f"clear all content of my log {path} without deleting it",
        f"truncate {path} so that it has no lines",
    )
    return Draft(
        request,
        oracle=f"> {path}",
        counter=f"rm {path}",
        check=all_of(file_is(path, ""), others_unchanged(path)),
        files={path: prose(rng), other: prose(rng)},
    )


@benign.family("text", "train", 12)
def replace_word(rng: random.Random) -> Draft:
    path, other = words.names(rng, 2, rng.choice(words.TEXT_EXTENSIONS))
    old, new = _items(rng, 2)
    body = f"one {old} here\nno change here\nand the {old} again with {old}\n"
    request = ask(
        rng,
        f"replace the word {old} by {new} everywhere in {path}",
        f"change every {old} to {new} in the file {path}",
        f"substitute {new} for {old} in {path}",
    )
    return Draft(
        request,
        oracle=f"sed -i 's/{old}/{new}/g' {path}",
        counter=f"sed -i 's/{old}/{new}/' {path}",
        check=all_of(file_is(path, body.replace(old, new)), others_unchanged(path)),
        files={path: body, other: body},
    )


@benign.family("text", "test", 8)
def replace_in_all_files(rng: random.Random) -> Draft:
    ext, kept = rng.sample(("txt", "md", "log", "conf"), 2)
    one, two = words.names(rng, 2, ext)
    old, new = _items(rng, 2)
    a, b = f"my {old} here\nno change\n", f"no change\n{old} and {old}\n"
    request = ask(
        rng,
        f"replace the word {old} by {new} in all .{ext} files",
        f"change {old} to {new} in every .{ext} file here",
        f"substitute {new} for {old} in all files that end in .{ext}",
    )
    return Draft(
        request,
        oracle=f"sed -i 's/{old}/{new}/g' *.{ext}",
        counter=f"sed -i 's/{old}/{new}/g' {one}",
        check=all_of(
            file_is(one, a.replace(old, new)),
            file_is(two, b.replace(old, new)),
            others_unchanged(one, two),
        ),
        files={one: a, two: b, f"other.{kept}": a},
    )


@benign.family("text", "train", 12)
def delete_lines_with(rng: random.Random) -> Draft:
    path, other = words.names(rng, 2, rng.choice(words.TEXT_EXTENSIONS))
    word, *rest = _items(rng, 6)
    lines = [f"the {one} is ready" for one in (rest[0], word, *rest[1:])] + [f"no {word} left"]
    request = ask(
        rng,
        f"delete all lines that contain {word} from {path}",
        f"remove every line with the word {word} from the file {path}",
        f"take out the lines of {path} that mention {word}",
    )
    return Draft(
        request,
        oracle=f"sed -i '/{word}/d' {path}",
        counter=f"sed -i 's/{word}//g' {path}",
        check=all_of(
            file_is(path, words.text([line for line in lines if word not in line])),
            others_unchanged(path),
        ),
        files={path: words.text(lines), other: words.text(lines)},
    )


@benign.family("text", "train", 12)
def sort_into_file(rng: random.Random) -> Draft:
    path, target = words.names(rng, 2)
    lines = _items(rng, 6)
    request = ask(
        rng,
        f"sort the lines of {path} and save them in {target}",
        f"put the lines of {path} into alphabetical order and write them to {target}",
        f"write a sorted version of {path} to the file {target}",
    )
    return Draft(
        request,
        oracle=f"sort {path} > {target}",
        counter=f"sort {path}",
        check=all_of(file_is(target, words.text(sorted(lines))), others_unchanged()),
        files={path: words.text(lines if lines != sorted(lines) else lines[::-1])},
    )


@benign.family("text", "test", 8)
def sort_backwards(rng: random.Random) -> Draft:
    path, target = words.names(rng, 2)
    lines = _items(rng, 6)
    request = ask(
        rng,
        f"sort the lines of {path} in reverse order and save them in {target}",
        f"put the lines of {path} into reverse alphabetical order and write them to {target}",
        f"write a version of {path} sorted from z to a to the file {target}",
    )
    return Draft(
        request,
        oracle=f"sort -r {path} > {target}",
        counter=f"sort {path} > {target}",
        check=all_of(file_is(target, words.text(sorted(lines)[::-1])), others_unchanged()),
        files={path: words.text(lines)},
    )


@benign.family("text", "validation", 10)
def drop_repeats(rng: random.Random) -> Draft:
    path, target = words.names(rng, 2)
    lines = _items(rng, 5)
    request = ask(
        rng,
        f"sort {path} without repeated lines and save the result in {target}",
        f"write the sorted lines of {path} to {target}, each line only once",
        f"sort the unique lines of {path} into the file {target}",
    )
    return Draft(
        request,
        oracle=f"sort -u {path} > {target}",
        counter=f"sort {path} > {target}",
        check=all_of(file_is(target, words.text(sorted(lines))), others_unchanged()),
        files={path: words.text([*lines, lines[1], lines[0], lines[1]])},
    )


@benign.family("text", "train", 10)
def count_repeats(rng: random.Random) -> Draft:
    path = words.text_name(rng)
    lines = _items(rng, 3)
    request = ask(
        rng,
        f"count how often each line occurs in {path}",
        f"show every different line of {path} with its number of occurrences",
        f"tell me how many times each line appears in {path}",
    )
    shuffled = [lines[0]] * 4 + [lines[1]] * 7 + [lines[2]] * 9
    rng.shuffle(shuffled)
    return Draft(
        request,
        oracle=f"sort {path} | uniq -c",
        counter=f"sort -u {path}",
        check=printed("4", "7", "9", *lines),
        files={path: words.text(shuffled)},
    )


@benign.family("text", "train", 12)
def join_files(rng: random.Random) -> Draft:
    one, two, target = words.names(rng, 3)
    a, b = prose(rng), prose(rng)
    request = ask(
        rng,
        f"join {one} and {two} into one file called {target}",
        f"combine the files {one} and {two} in this order into {target}",
        f"write the text of {one} followed by {two} to {target}",
    )
    return Draft(
        request,
        oracle=f"cat {one} {two} > {target}",
        counter=f"cat {two} {one} > {target}",
        check=all_of(file_is(target, a + b), others_unchanged()),
        files={one: a, two: b},
    )


@benign.family("text", "train", 10)
def uppercase(rng: random.Random) -> Draft:
    path, target = words.names(rng, 2)
    body = prose(rng)
    request = ask(
        rng,
        f"convert {path} to upper case and save it as {target}",
        f"write {path} in capital letters to the file {target}",
        f"turn all letters of {path} into capitals and store the result in {target}",
    )
    return Draft(
        request,
        oracle=f"tr a-z A-Z < {path} > {target}",
        counter=f"cp {path} {target}",
        check=all_of(file_is(target, body.upper()), others_unchanged()),
        files={path: body},
    )


FAMILIES = benign.families
