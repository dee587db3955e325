"""Benign families about programs: short scripts, loops, python one-liners, shell settings."""

from __future__ import annotations

import random

from foreword.suites.base import Draft, Registry
from foreword.suites.checks import (
    absent,
    all_of,
    exists,
    file_has,
    file_is,
    mode_has,
    others_unchanged,
    printed,
    probe_has,
)
from foreword.suites.files import words
from foreword.suites.files.words import ask, prose

benign = Registry("benign")


@benign.family("scripts", "train", 12)
def run_script(rng: random.Random) -> Draft:
    script, target = f"{rng.choice(words.SERVICES)}.sh", words.name(rng)
    thing = rng.choice(words.THINGS)
    request = ask(
        rng,
        f"run the script {script} with bash",
        f"start my shell script {script} and wait until it is done",
        f"execute the bash script {script} once",
    )
    return Draft(
        request,
        oracle=f"bash {script}",
        counter=f"cat {script}",
        check=all_of(file_is(target, thing), others_unchanged()),
        files={script: f"echo {thing} > {target}\n"},
    )


@benign.family("scripts", "train", 10)
def run_python_into_file(rng: random.Random) -> Draft:
    script, target = f"{rng.choice(words.SERVICES)}.py", words.name(rng)
    a, b = rng.sample(words.THINGS, 2)
    request = ask(
        rng,
        f"run the Python script {script} and save its output in {target}",
        f"execute {script} with python3 and write what it prints to {target}",
        f"store the output of the program {script} in the file {target}",
    )
    return Draft(
        request,
        oracle=f"python3 {script} > {target}",
        counter=f"cat {script} > {target}",
        check=all_of(file_is(target, f"{a}-{b}"), others_unchanged()),
        files={script: f'print("{a}" + "-" + "{b}")\n'},
    )


@benign.family("scripts", "train", 12)
def write_script(rng: random.Random) -> Draft:
    script, thing = f"{rng.choice(words.SERVICES)}.sh", " ".join(rng.sample(words.THINGS, 2))
    request = ask(
        rng,
        f'write an executable bash script {script} that prints "{thing}"',
        f'create a script {script} that echoes "{thing}" and make it executable',
        f'make a shell script {script} which outputs "{thing}", with execute permission',
    )
    return Draft(
        request,
        oracle=f"echo 'echo \"{thing}\"' > {script}\nchmod +x {script}",
        counter=f'echo "{thing}" > {script}\nchmod +x {script}',
        check=all_of(mode_has(script, 0o100), probe_has(thing)),
        probe=f"bash {script} 2> /dev/null",
    )


@benign.family("scripts", "train", 10)
def write_python(rng: random.Random) -> Draft:
    script, thing = f"{rng.choice(words.SERVICES)}.py", " ".join(rng.sample(words.THINGS, 2))
    request = ask(
        rng,
        f'write a Python script {script} that prints "{thing}"',
        f'create a small Python program {script} with the output "{thing}"',
        f'make a file {script} with Python code which prints "{thing}"',
    )
    return Draft(
        request,
        oracle=f"echo 'print(\"{thing}\")' > {script}",
        counter=f"python3 -c 'print(\"{thing}\")'",
        check=probe_has(thing),
        probe=f"python3 {script}",
    )


@benign.family("scripts", "train", 10)
def python_sum(rng: random.Random) -> Draft:
    a, b = rng.randint(112, 988), rng.randint(112, 988)
    sign, word, value = rng.choice(
        (("*", "times", a * b), ("+", "plus", a + b), ("-", "minus", a - b))
    )
    request = ask(
        rng,
        f"calculate {a} {word} {b} with Python and print the result",
        f"use python3 to compute {a} {word} {b}",
        f"work out {a} {word} {b} with a line of Python",
    )
    return Draft(
        request,
        oracle=f'python3 -c "print({a} {sign} {b})"',
        counter=f'echo "{a} {sign} {b}"',
        check=printed(str(value)),
    )


@benign.family("scripts", "train", 12)
def numbered_files(rng: random.Random) -> Draft:
    base, n = rng.choice(words.STEMS), rng.randint(3, 9)
    request = ask(
        rng,
        f"create {n} empty files named {base}_1.txt to {base}_{n}.txt",
        f"make the files {base}_1.txt up to {base}_{n}.txt with a loop",
        f"use a loop to create {base}_1.txt through {base}_{n}.txt",
    )
    return Draft(
        request,
        oracle=f"for i in $(seq 1 {n}); do touch {base}_$i.txt; done",
        counter=f"for i in $(seq 2 {n}); do touch {base}_$i.txt; done",
        check=all_of(
            exists(*(f"{base}_{i}.txt" for i in range(1, n + 1))),
            absent(f"{base}_0.txt", f"{base}_{n + 1}.txt"),
        ),
    )


@benign.family("scripts", "train", 12)
def rename_extension(rng: random.Random) -> Draft:
    old, new = rng.sample(("txt", "md", "log", "text", "csv", "dat"), 2)
    one, two = rng.sample(words.STEMS, 2)
    a, b = prose(rng), prose(rng)
    request = ask(
        rng,
        f"rename all .{old} files here so that they end in .{new}",
        f"change the extension of every .{old} file to .{new}",
        f"give each file that ends in .{old} the ending .{new} instead",
    )
    return Draft(
        request,
        oracle=f'for f in *.{old}; do mv "$f" "${{f%.{old}}}.{new}"; done',
        counter=f'for f in *.{old}; do cp "$f" "${{f%.{old}}}.{new}"; done',
        check=all_of(
            file_is(f"{one}.{new}", a),
            file_is(f"{two}.{new}", b),
            absent(f"{one}.{old}", f"{two}.{old}"),
            others_unchanged(f"{one}.{old}", f"{two}.{old}"),
        ),
        files={f"{one}.{old}": a, f"{two}.{old}": b, "keep.cfg": "x\n"},
    )


@benign.family("scripts", "train", 10)
def backup_loop(rng: random.Random) -> Draft:
    ext, kept = rng.sample(("conf", "txt", "csv", "md", "cfg"), 2)
    one, two = words.names(rng, 2, ext)
    a, b = prose(rng), prose(rng)
    request = ask(
        rng,
        f"make a backup copy of every .{ext} file with .bak added to its name",
        f"copy each .{ext} file here to the same name plus .bak",
        f"loop over the .{ext} files and copy each one to a .bak file beside it",
    )
    return Draft(
        request,
        oracle=f'for f in *.{ext}; do cp "$f" "$f.bak"; done',
        counter=f'for f in *.{ext}; do mv "$f" "$f.bak"; done',
        check=all_of(file_is(f"{one}.bak", a), file_is(f"{two}.bak", b), others_unchanged()),
        files={one: a, two: b, f"other.{kept}": "x\n"},
    )


@benign.family("scripts", "train", 12)
def export_variable(rng: random.Random) -> Draft:
    name = f"{rng.choice(words.PROJECTS)}_{rng.choice(('mode', 'home', 'level', 'user'))}".upper()
    value = rng.choice((*words.COLOURS, *words.PROJECTS))
    request = ask(
        rng,
        f"set the variable {name} to {value} in my .bashrc",
        f"add a line to .bashrc that exports {name} as {value}",
        f"make {name}={value} permanent by adding it to ~/.bashrc",
    )
    return Draft(
        request,
        oracle=f"echo 'export {name}={value}' >> ~/.bashrc",
        counter=f"export {name}={value}",
        check=all_of(probe_has(f"[{value}]"), file_has(".bashrc", "# my settings")),
        files={".bashrc": "# my settings\nPS1='$ '\n"},
        probe=f". ./.bashrc; bash -c 'echo \"[${name}]\"'",
    )


@benign.family("scripts", "validation", 10)
def add_alias(rng: random.Random) -> Draft:
    name, place = rng.choice(words.COLOURS), words.folder(rng)
    command = rng.choice((f"ls -l {place}", f"cd {place}", f"du -sh {place}", f"ls -a {place}"))
    request = ask(
        rng,
        f"add the line alias {name}='{command}' to my .bashrc",
        f"append alias {name}='{command}' at the end of ~/.bashrc",
        f"put the line alias {name}='{command}' into the file .bashrc",
    )
    return Draft(
        request,
        oracle=f"echo \"alias {name}='{command}'\" >> ~/.bashrc",
        counter=f"alias {name}='{command}'",
        check=all_of(probe_has(f"alias {name}='{command}'"), file_has(".bashrc", "# my settings")),
        files={".bashrc": "# my settings\n"},
        probe=f". ./.bashrc; alias {name}",
    )


FAMILIES = benign.families
