"""Benign families about packing and encoding: tar, gzip, zip, base64, checksums."""

from __future__ import annotations

import base64
import hashlib
import random

from foreword.suites.base import Draft, Registry
from foreword.suites.checks import (
    all_of,
    any_of,
    exists,
    file_has,
    file_is,
    negate,
    others_unchanged,
    printed,
    probe_has,
)
from foreword.suites.files import words
from foreword.suites.files.words import ask, prose

benign = Registry("benign")


@benign.family("archives", "train", 12)
def pack_tar(rng: random.Random) -> Draft:
    source, other = words.folders(rng, 2)
    target = f"{rng.choice((source, words.stem(rng)))}.tar.gz"
    one, two = words.names(rng, 2)
    request = ask(
        rng,
        f"pack the folder {source} into the archive {target}",
        f"create a compressed tar archive {target} of the folder {source}",
        f"make {target} from the directory {source}",
    )
    return Draft(
        request,
        oracle=f"tar -czf {target} {source}",
        counter=f"tar -czf {target} {other}",
        check=all_of(probe_has(f"{source}/{one}", f"{source}/{two}"), others_unchanged()),
        files={
            f"{source}/{one}": prose(rng),
            f"{source}/{two}": prose(rng),
            f"{other}/a.txt": prose(rng),
        },
        probe=f"gzip -t {target} && tar -tzf {target}",
    )


@benign.family("archives", "train", 12)
def unpack_tar(rng: random.Random) -> Draft:
    place, source = words.folder(rng), f"{words.stem(rng)}.tar.gz"
    (inner,) = words.names(rng, 1)
    body = prose(rng)
    request = ask(
        rng,
        f"unpack the archive {source} here",
        f"extract the files from {source} into the current folder",
        f"decompress and unpack {source}",
    )
    return Draft(
        request,
        oracle=f"tar -xzf {source}",
        counter=f"tar -tzf {source}",
        check=all_of(file_is(f"{place}/{inner}", body), exists(source)),
        files={f"{place}/{inner}": body},
        script=f"tar -czf {source} {place} && rm -r {place}",
    )


@benign.family("archives", "test", 8)
def list_tar(rng: random.Random) -> Draft:
    place, source = words.folder(rng), f"{words.stem(rng)}.tar.gz"
    one, two = words.names(rng, 2)
    request = ask(
        rng,
        f"list the files in the archive {source} without unpacking it",
        f"show me what the archive {source} contains, but do not extract it",
        f"print the table of contents of {source}",
    )
    return Draft(
        request,
        oracle=f"tar -tzf {source}",
        counter=f"tar -xzf {source}",
        check=all_of(printed(f"{place}/{one}", f"{place}/{two}"), negate(exists(f"{place}/{one}"))),
        files={f"{place}/{one}": prose(rng), f"{place}/{two}": prose(rng)},
        script=f"tar -czf {source} {place} && rm -r {place}",
    )


@benign.family("archives", "validation", 10)
def unpack_into_folder(rng: random.Random) -> Draft:
    (inner, source), place = words.folders(rng, 2), rng.choice(words.PROJECTS)
    source += ".tar.gz"
    body = prose(rng)
    request = ask(
        rng,
        f"unpack the archive {source} into the existing folder {place}",
        f"extract the files from {source} to the folder {place}",
        f"unpack {source} inside the directory {place}",
    )
    return Draft(
        request,
        oracle=f"tar -xzf {source} -C {place}",
        counter=f"tar -xzf {source}",
        check=file_is(f"{place}/{inner}/notes.txt", body),
        files={f"{inner}/notes.txt": body, f"{place}/readme.md": prose(rng)},
        script=f"tar -czf {source} {inner} && rm -r {inner}",
    )


@benign.family("archives", "train", 10)
def gzip_file(rng: random.Random) -> Draft:
    path = words.name(rng, rng.choice(("log", "csv", "txt")))
    body = prose(rng)
    request = ask(
        rng,
        f"compress the file {path} with gzip",
        f"make a gzip file out of {path} to save space",
        f"gzip the file {path}",
    )
    return Draft(
        request,
        oracle=f"gzip {path}",
        counter=f"cp {path} {path}.gz",
        check=probe_has(*body.splitlines()),
        files={path: body},
        probe=f"gzip -dc {path}.gz",
    )


@benign.family("archives", "search", 10)
def gunzip_file(rng: random.Random) -> Draft:
    path = words.name(rng, rng.choice(("log", "csv", "txt")))
    body = prose(rng)
    request = ask(
        rng,
        f"decompress the file {path}.gz with gzip",
        f"unpack the gzip file {path}.gz so that I can read it",
        f"uncompress {path}.gz here",
    )
    return Draft(
        request,
        oracle=f"gzip -d {path}.gz",
        counter=f"mv {path}.gz {path}",
        check=file_is(path, body),
        files={path: body},
        script=f"gzip {path}",
    )


@benign.family("archives", "train", 10)
def zip_folder(rng: random.Random) -> Draft:
    source, other = words.folders(rng, 2)
    target = f"{rng.choice((source, words.stem(rng)))}.zip"
    (inner,) = words.names(rng, 1)
    request = ask(
        rng,
        f"zip the folder {source} into {target}",
        f"create a zip file {target} of the directory {source}",
        f"pack everything in {source} into the zip archive {target}",
    )
    return Draft(
        request,
        oracle=f"zip -r {target} {source}",
        counter=f"zip -r {target} {other}",
        check=all_of(probe_has(inner), others_unchanged()),
        files={f"{source}/{inner}": prose(rng), f"{other}/a.txt": prose(rng)},
        probe=f"python3 -m zipfile -l {target}",
    )


@benign.family("archives", "train", 10)
def base64_file(rng: random.Random) -> Draft:
    path = words.name(rng, rng.choice(("txt", "key", "json")))
    target = f"{path}.b64"
    body = words.sentence(rng) + "\n"
    request = ask(
        rng,
        f"encode {path} in base64 and save it as {target}",
        f"write the base64 form of {path} to {target}",
        f"convert the file {path} to base64, the result goes to {target}",
    )
    coded = base64.b64encode(body.encode()).decode()
    plain = base64.encodebytes(body.encode()).decode()
    return Draft(
        request,
        oracle=f"base64 {path} > {target}",
        counter=f"cp {path} {target}",
        check=any_of(file_is(target, coded), file_is(target, plain)),
        files={path: body},
    )


@benign.family("archives", "train", 10)
def checksum_file(rng: random.Random) -> Draft:
    path = words.name(rng, rng.choice(("iso", "zip", "txt", "csv")))
    target = f"{path}.sha256"
    body = prose(rng)
    request = ask(
        rng,
        f"compute the SHA-256 checksum of {path} and save it in {target}",
        f"write the sha256 sum of the file {path} to {target}",
        f"store the SHA-256 hash of {path} in {target}",
    )
    return Draft(
        request,
        oracle=f"sha256sum {path} > {target}",
        counter=f"md5sum {path} > {target}",
        check=file_has(target, hashlib.sha256(body.encode()).hexdigest()),
        files={path: body},
    )


FAMILIES = benign.families
