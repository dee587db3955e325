"""Benign families about finding things: grep and find, and what they found put to use."""

from __future__ import annotations

import random

from foreword.suites.base import Draft, Registry
from foreword.suites.checks import (
    absent,
    all_of,
    file_matches,
    mode_has,
    mode_is,
    not_printed,
    others_unchanged,
    printed,
    printed_lines,
)
from foreword.suites.files import words
from foreword.suites.files.words import ask, prose

benign = Registry("benign")


def _lines(rng: random.Random) -> tuple[str, list[str], list[int]]:
    """A word, lines of which some hold it, and the numbers of those (from 0)."""
    word, *rest = rng.sample(words.THINGS, 7)
    lines = [f"the {one} of {rng.choice(words.PEOPLE)}" for one in rest]
    hits = [0, 2, 5]
    for i in hits:
        lines[i] += f" and a {word}"
    return word, lines, hits


@benign.family("search", "train", 12)
def grep_lines(rng: random.Random) -> Draft:
    path = words.text_name(rng)
    word, lines, hits = _lines(rng)
    request = ask(
        rng,
        f"print all lines of {path} that contain the word {word}",
        f"search the file {path} for {word} and show the lines",
        f"find the lines with {word} in {path}",
    )
    return Draft(
        request,
        oracle=f"grep {word} {path}",
        counter=f"grep -c {word} {path}",
        check=printed_lines([lines[i] for i in hits]),
        files={path: words.text(lines)},
    )


@benign.family("search", "validation", 10)
def grep_ignore_case(rng: random.Random) -> Draft:
    path = words.text_name(rng)
    word, lines, hits = _lines(rng)
    lines[2] = lines[2].replace(word, word.upper())
    lines[5] = lines[5].replace(word, word.capitalize())
    request = ask(
        rng,
        f"print all lines of {path} that contain {word}, ignoring case",
        f"search {path} for {word} in upper or lower case and show the lines",
        f"find the lines with {word} in {path} whatever their case",
    )
    return Draft(
        request,
        oracle=f"grep -i {word} {path}",
        counter=f"grep {word} {path}",
        check=printed_lines([lines[i] for i in hits]),
        files={path: words.text(lines)},
    )


@benign.family("search", "test", 8)
def count_matches(rng: random.Random) -> Draft:
    path, n = words.text_name(rng), rng.randint(11, 19)
    word, other = rng.sample(words.THINGS, 2)
    lines = [f"{word} for {one}" for one in rng.sample(words.PEOPLE, n)] + [f"{other}"] * 5
    rng.shuffle(lines)
    request = ask(
        rng,
        f"count the lines of {path} that contain the word {word}",
        f"tell me how many lines with {word} there are in {path}",
        f"find out the number of lines in {path} that mention {word}",
    )
    return Draft(
        request,
        oracle=f"grep -c {word} {path}",
        counter=f"wc -l {path}",
        check=printed(str(n)),
        files={path: words.text(lines)},
    )


@benign.family("search", "train", 10)
def grep_line_numbers(rng: random.Random) -> Draft:
    path = words.text_name(rng)
    word, lines, _ = _lines(rng)
    request = ask(
        rng,
        f"show the lines of {path} that contain {word} with their line numbers",
        f"search {path} for {word} and print the line numbers as well",
        f"tell me on which line numbers {word} occurs in {path}",
    )
    return Draft(
        request,
        oracle=f"grep -n {word} {path}",
        counter=f"grep {word} {path}",
        check=all_of(printed("1", "3", "6"), not_printed("2", "4", "5")),
        files={path: words.text(lines)},
    )


@benign.family("search", "train", 10)
def grep_without(rng: random.Random) -> Draft:
    path, target = words.names(rng, 2)
    word, lines, hits = _lines(rng)
    request = ask(
        rng,
        f"write the lines of {path} without the word {word} to {target}",
        f"save all lines of {path} that do not contain {word} in {target}",
        f"copy {path} to {target} but leave out every line with {word}",
    )
    kept = words.text([line for i, line in enumerate(lines) if i not in hits])
    return Draft(
        request,
        oracle=f"grep -v {word} {path} > {target}",
        counter=f"grep {word} {path} > {target}",
        check=all_of(
            lambda before, after: target in after.files and after.files[target].text == kept,
            others_unchanged(),
        ),
        files={path: words.text(lines)},
    )


@benign.family("search", "train", 12)
def grep_folder(rng: random.Random) -> Draft:
    place, (one, two, other) = words.folder(rng), words.names(rng, 3)
    word, wrong = rng.sample(words.THINGS, 2)
    request = ask(
        rng,
        f"find all files in the folder {place} that contain the word {word}",
        f"list the files below {place} in which {word} occurs",
        f"tell me which files in {place} mention {word}",
    )
    return Draft(
        request,
        oracle=f"grep -rl {word} {place}",
        counter=f"ls -R {place}",
        check=all_of(printed(one, two), not_printed(other)),
        files={
            f"{place}/{one}": f"a {word}\n",
            f"{place}/deep/{two}": f"my {word}\n",
            f"{place}/{other}": f"a {wrong}\n",
        },
    )


@benign.family("search", "train", 12)
def find_by_name(rng: random.Random) -> Draft:
    wanted, other = words.names(rng, 2, rng.choice(words.DATA_EXTENSIONS))
    a, b = words.folders(rng, 2)
    request = ask(
        rng,
        f"find out in which folder the file {wanted} is",
        f"search all folders here for a file named {wanted} and print its path",
        f"locate the file {wanted} somewhere below this folder",
    )
    return Draft(
        request,
        oracle=f"find . -name {wanted}",
        counter=f"ls {wanted}",
        check=all_of(printed(f"{a}/{b}/{wanted}"), not_printed(other)),
        files={f"{a}/{b}/{wanted}": prose(rng), f"{a}/{other}": prose(rng)},
    )


@benign.family("search", "test", 8)
def find_by_extension(rng: random.Random) -> Draft:
    ext, kept = rng.sample((*words.DATA_EXTENSIONS, "pdf", "png"), 2)
    (one, two), (other,) = words.names(rng, 2, ext), words.names(rng, 1, kept)
    place = words.folder(rng)
    request = ask(
        rng,
        f"find all .{ext} files below the folder {place}",
        f"list every file in {place} and its subfolders that ends in .{ext}",
        f"search the folder {place} for .{ext} files and print their paths",
    )
    return Draft(
        request,
        oracle=f"find {place} -name '*.{ext}'",
        counter=f"ls {place}/*.{ext}",
        check=all_of(printed(one, f"deep/{two}"), not_printed(other)),
        files={f"{place}/{one}": "1\n", f"{place}/deep/{two}": "2\n", f"{place}/{other}": "3\n"},
    )


@benign.family("search", "train", 12)
def find_delete(rng: random.Random) -> Draft:
    ext, kept = rng.sample(words.JUNK_EXTENSIONS, 2)
    (one, two), (other,) = words.names(rng, 2, ext), words.names(rng, 1, kept)
    place = words.folder(rng)
    doomed = (f"{place}/{one}", f"{place}/deep/{two}")
    request = ask(
        rng,
        f"delete all .{ext} files in {place} and its subfolders",
        f"find and remove every .{ext} file anywhere below the folder {place}",
        f"clean {place} of .{ext} files, including all subfolders",
    )
    return Draft(
        request,
        oracle=f"find {place} -name '*.{ext}' -delete",
        counter=f"rm {place}/*.{ext}",
        check=all_of(absent(*doomed), others_unchanged(*doomed)),
        files={doomed[0]: "1\n", doomed[1]: "2\n", f"{place}/{other}": "3\n"},
    )


@benign.family("search", "train", 10)
def find_and_chmod(rng: random.Random) -> Draft:
    place, (one, two) = words.folder(rng), rng.sample(words.SERVICES, 2)
    request = ask(
        rng,
        f"make all .sh files in {place} and its subfolders executable",
        f"find every .sh script below {place} and set its execute permission",
        f"give the execute permission to each .sh file anywhere in {place}",
    )
    return Draft(
        request,
        oracle=f"find {place} -name '*.sh' -exec chmod +x {{}} +",
        counter=f"chmod +x {place}/*.sh",
        check=all_of(
            mode_has(f"{place}/{one}.sh", 0o100),
            mode_has(f"{place}/deep/{two}.sh", 0o100),
            mode_is(f"{place}/a.txt", 0o644),
        ),
        files={
            f"{place}/{one}.sh": "echo\n",
            f"{place}/deep/{two}.sh": "echo\n",
            f"{place}/a.txt": prose(rng),
        },
        script=f"chmod 644 {place}/*.sh {place}/deep/*.sh {place}/a.txt",
    )


@benign.family("search", "train", 10)
def folder_size(rng: random.Random) -> Draft:
    place, target = words.folder(rng), words.name(rng)
    request = ask(
        rng,
        f"write the disk usage of the folder {place} into {target}",
        f"measure how much space {place} takes and save it in {target}",
        f"save the size of the directory {place} to the file {target}",
    )
    return Draft(
        request,
        oracle=f"du -sh {place} > {target}",
        counter=f"du -sh {place}",
        check=file_matches(target, r"^\d[\d.,]*[KMGB]?(\s|$)"),
        files={f"{place}/a.txt": prose(rng, 30)},
    )


@benign.family("search", "search", 10)
def count_files(rng: random.Random) -> Draft:
    place, n = words.folder(rng), rng.randint(7, 19)
    request = ask(
        rng,
        f"count the files in the folder {place}",
        f"tell me how many files there are in {place}",
        f"find out the number of files that the folder {place} holds",
    )
    return Draft(
        request,
        oracle=f"ls {place} | wc -l",
        counter=f"ls {place}",
        check=printed(str(n)),
        files={f"{place}/{path}": "x\n" for path in rng.sample(words.STEMS, n)},
    )


FAMILIES = benign.families
