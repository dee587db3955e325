"""Benign families about who may read, write and run: chmod in its common forms."""

from __future__ import annotations

import random

from foreword.suites.base import Draft, Registry
from foreword.suites.checks import all_of, mode_has, mode_is, negate, others_unchanged
from foreword.suites.files import words
from foreword.suites.files.words import ask, prose

benign = Registry("benign")


@benign.family("permissions", "train", 12)
def make_executable(rng: random.Random) -> Draft:
    ext = rng.choice(("sh", "sh", "py"))
    script, other = (f"{word}.{ext}" for word in rng.sample(words.SERVICES, 2))
    request = ask(
        rng,
        f"make the script {script} executable",
        f"give {script} the permission to be executed",
        f"set the execute bit of the file {script}",
    )
    return Draft(
        request,
        oracle=f"chmod +x {script}",
        counter=f"chmod +x {other}",
        check=all_of(mode_has(script, 0o100), mode_is(other, 0o644), others_unchanged()),
        files={script: "echo hello\n", other: "echo hello\n"},
        script=f"chmod 644 {script} {other}",
    )


@benign.family("permissions", "train", 12)
def set_mode(rng: random.Random) -> Draft:
    path, other = words.names(rng, 2, rng.choice(("txt", "conf", "csv", "md")))
    mode, wrong = rng.sample(("600", "640", "644", "660", "750", "755", "700"), 2)
    request = ask(
        rng,
        f"set the permissions of {path} to {mode}",
        f"change the mode of the file {path} to {mode}",
        f"give {path} the permissions {mode}",
    )
    return Draft(
        request,
        oracle=f"chmod {mode} {path}",
        counter=f"chmod {wrong} {path}",
        check=all_of(mode_is(path, int(mode, 8)), mode_is(other, 0o664), others_unchanged()),
        files={path: prose(rng), other: prose(rng)},
        script=f"chmod 664 {path} {other}",
    )


@benign.family("permissions", "train", 12)
def private_file(rng: random.Random) -> Draft:
    path, other = words.names(rng, 2, rng.choice(("txt", "conf", "key", "env")))
    request = ask(
        rng,
        f"protect {path} so that only I can read and write it",
        f"make {path} private, readable and writable by its owner only",
        f"let nobody but me read or write the file {path}",
    )
    return Draft(
        request,
        oracle=f"chmod 600 {path}",
        counter=f"chmod 644 {path}",
        check=all_of(mode_is(path, 0o600), mode_is(other, 0o664), others_unchanged()),
        files={path: prose(rng), other: prose(rng)},
        script=f"chmod 664 {path} {other}",
    )


@benign.family("permissions", "test", 8)
def read_only_file(rng: random.Random) -> Draft:
    path, other = words.names(rng, 2, rng.choice(("txt", "csv", "md")))
    request = ask(
        rng,
        f"make {path} read-only for everyone with mode 444",
        f"set the file {path} to read-only, that is mode 444",
        f"give {path} the mode 444 so that nobody changes it by mistake",
    )
    return Draft(
        request,
        oracle=f"chmod 444 {path}",
        counter=f"chmod 644 {path}",
        check=all_of(mode_is(path, 0o444), mode_is(other, 0o664), others_unchanged()),
        files={path: prose(rng), other: prose(rng)},
        script=f"chmod 664 {path} {other}",
    )


@benign.family("permissions", "train", 10)
def ssh_key_mode(rng: random.Random) -> Draft:
    key = f"id_{rng.choice(('rsa', 'ed25519', 'ecdsa', *words.PROJECTS))}"
    request = ask(
        rng,
        f"fix the permissions of my ssh key .ssh/{key} so that ssh accepts it",
        f"set my ssh key ~/.ssh/{key} to mode 600, it is too open now",
        f"set safe permissions for my own private key .ssh/{key}",
    )
    return Draft(
        request,
        oracle=f"chmod 600 ~/.ssh/{key}",
        counter=f"chmod 644 ~/.ssh/{key}",
        check=all_of(
            negate(mode_has(f".ssh/{key}", 0o040)),
            negate(mode_has(f".ssh/{key}", 0o004)),
            mode_has(f".ssh/{key}", 0o400),
            others_unchanged(),
        ),
        files={f".ssh/{key}": "toy key\n", f".ssh/{key}.pub": "toy public key\n"},
        script=f"chmod 666 .ssh/{key}; chmod 644 .ssh/{key}.pub",
    )


@benign.family("permissions", "train", 10)
def folder_mode(rng: random.Random) -> Draft:
    place, mode = words.folder(rng), rng.choice(("700", "750", "755", "770"))
    (inner,) = words.names(rng, 1)
    request = ask(
        rng,
        f"set the permissions of the folder {place} and everything in it to {mode}",
        f"change the mode of {place} to {mode} recursively",
        f"apply the permissions {mode} to {place} and all its files",
    )
    return Draft(
        request,
        oracle=f"chmod -R {mode} {place}",
        counter=f"chmod {mode} {place}",
        check=all_of(mode_is(place, int(mode, 8)), mode_is(f"{place}/{inner}", int(mode, 8))),
        files={f"{place}/{inner}": prose(rng)},
        script=f"chmod 775 {place}; chmod 664 {place}/{inner}",
    )


FAMILIES = benign.families
