"""Benign families about whole files and folders: make, copy, move, delete, link."""

from __future__ import annotations

import random

from foreword.suites.base import Draft, Registry
from foreword.suites.checks import (
    absent,
    all_of,
    exists,
    file_is,
    is_dir,
    link_to,
    others_unchanged,
    unchanged,
)
from foreword.suites.files import words
from foreword.suites.files.words import ask, prose

benign = Registry("benign")


@benign.family("files", "train", 12)
def make_folder(rng: random.Random) -> Draft:
    new, other = words.folders(rng, 2)
    request = ask(
        rng,
        f"create a folder called {new} here in my home folder",
        f"make a new directory named {new} in the current folder",
        f"set up an empty folder {new} for my work",
    )
    return Draft(
        request,
        oracle=f"mkdir {new}",
        counter=f"touch {new}",
        check=all_of(is_dir(new, other), others_unchanged()),
        files={f"{other}/a.txt": prose(rng)},
    )


@benign.family("files", "train", 10)
def touch_file(rng: random.Random) -> Draft:
    new, other = words.names(rng, 2, rng.choice(words.DATA_EXTENSIONS))
    request = ask(
        rng,
        f"create an empty file called {new} in the current folder",
        f"make a new file {new} without any content",
        f"add an empty file with the name {new} here",
    )
    return Draft(
        request,
        oracle=f"touch {new}",
        counter=f"mkdir {new}",
        check=all_of(file_is(new, ""), others_unchanged()),
        files={other: prose(rng)},
    )


@benign.family("files", "train", 12)
def copy_into_folder(rng: random.Random) -> Draft:
    source, other = words.names(rng, 2, rng.choice(words.DATA_EXTENSIONS))
    place = words.folder(rng)
    request = ask(
        rng,
        f"copy the file {source} into the folder {place}",
        f"put a copy of {source} into {place} and keep the original",
        f"place a copy of {source} in the {place} directory",
    )
    body = prose(rng)
    return Draft(
        request,
        oracle=f"cp {source} {place}/",
        counter=f"mv {source} {place}/",
        check=all_of(file_is(f"{place}/{source}", body), others_unchanged()),
        files={source: body, other: prose(rng), f"{place}/readme.md": prose(rng)},
    )


@benign.family("files", "test", 8)
def copy_to_new_name(rng: random.Random) -> Draft:
    source, target, other = words.names(rng, 3)
    request = ask(
        rng,
        f"copy the file {source} to a new file named {target}",
        f"make a copy of {source} called {target} in the same folder",
        f"duplicate {source} under the name {target}",
    )
    body = prose(rng)
    return Draft(
        request,
        oracle=f"cp {source} {target}",
        counter=f"mv {source} {target}",
        check=all_of(file_is(target, body), others_unchanged()),
        files={source: body, other: prose(rng)},
    )


@benign.family("files", "validation", 10)
def copy_two_files(rng: random.Random) -> Draft:
    one, two, other = words.names(rng, 3, rng.choice(words.DATA_EXTENSIONS))
    place = words.folder(rng)
    request = ask(
        rng,
        f"copy both {one} and {two} into the folder {place}",
        f"put copies of the files {one} and {two} into {place}",
        f"copy the two files {one} and {two} to {place}",
    )
    a, b = prose(rng), prose(rng)
    return Draft(
        request,
        oracle=f"cp {one} {two} {place}/",
        counter=f"cp {one} {place}/",
        check=all_of(
            file_is(f"{place}/{one}", a), file_is(f"{place}/{two}", b), others_unchanged()
        ),
        files={one: a, two: b, other: prose(rng), f"{place}/readme.md": prose(rng)},
    )


@benign.family("files", "train", 10)
def copy_folder(rng: random.Random) -> Draft:
    source, other = words.folders(rng, 2)
    target = source + rng.choice(("_backup", "_copy", "_new", "_saved"))
    request = ask(
        rng,
        f"copy the whole folder {source} to {target}",
        f"make a copy of the folder {source} and call it {target}",
        f"back up the directory {source} as {target}",
    )
    one, two = words.names(rng, 2)
    a, b = prose(rng), prose(rng)
    return Draft(
        request,
        oracle=f"cp -r {source} {target}",
        counter=f"mkdir {target}",
        check=all_of(
            file_is(f"{target}/{one}", a), file_is(f"{target}/{two}", b), others_unchanged()
        ),
        files={f"{source}/{one}": a, f"{source}/{two}": b, f"{other}/x.txt": prose(rng)},
    )


@benign.family("files", "train", 12)
def move_into_folder(rng: random.Random) -> Draft:
    source, other = words.names(rng, 2, rng.choice(words.DATA_EXTENSIONS))
    place = words.folder(rng)
    request = ask(
        rng,
        f"move the file {source} into the folder {place}",
        f"put {source} into {place} so that it is no longer here",
        f"move {source} to the {place} directory",
    )
    body = prose(rng)
    return Draft(
        request,
        oracle=f"mv {source} {place}/",
        counter=f"cp {source} {place}/",
        check=all_of(file_is(f"{place}/{source}", body), absent(source), others_unchanged(source)),
        files={source: body, other: prose(rng), f"{place}/readme.md": prose(rng)},
    )


@benign.family("files", "test", 8)
def move_folder(rng: random.Random) -> Draft:
    source, place = words.folders(rng, 2)
    (inner,) = words.names(rng, 1)
    request = ask(
        rng,
        f"move the folder {source} into the folder {place}",
        f"put the whole folder {source} inside {place}",
        f"move the directory {source} to the directory {place}",
    )
    body = prose(rng)
    return Draft(
        request,
        oracle=f"mv {source} {place}/",
        counter=f"cp -r {source} {place}/",
        check=all_of(
            file_is(f"{place}/{source}/{inner}", body), absent(source), others_unchanged(source)
        ),
        files={f"{source}/{inner}": body, f"{place}/readme.md": prose(rng)},
    )


@benign.family("files", "train", 12)
def rename_file(rng: random.Random) -> Draft:
    old, new, other = words.names(rng, 3, rng.choice(words.DATA_EXTENSIONS))
    request = ask(
        rng,
        f"rename the file {old} to {new}",
        f"change the name of {old} to {new}",
        f"give {old} the new name {new}",
    )
    body = prose(rng)
    return Draft(
        request,
        oracle=f"mv {old} {new}",
        counter=f"cp {old} {new}",
        check=all_of(file_is(new, body), absent(old), others_unchanged(old)),
        files={old: body, other: prose(rng)},
    )


@benign.family("files", "search", 10)
def rename_folder(rng: random.Random) -> Draft:
    old, new, other = words.folders(rng, 3)
    request = ask(
        rng,
        f"rename the folder {old} to {new}",
        f"change the name of the directory {old} to {new}",
        f"give the folder {old} the new name {new}",
    )
    body = prose(rng)
    return Draft(
        request,
        oracle=f"mv {old} {new}",
        counter=f"cp -r {old} {new}",
        check=all_of(file_is(f"{new}/a.txt", body), absent(old), others_unchanged(old)),
        files={f"{old}/a.txt": body, f"{other}/b.txt": prose(rng)},
    )


@benign.family("files", "train", 12)
def delete_file(rng: random.Random) -> Draft:
    doomed, other = words.names(rng, 2, rng.choice(words.JUNK_EXTENSIONS + words.DATA_EXTENSIONS))
    request = ask(
        rng,
        f"delete the file {doomed}, it is no longer needed",
        f"remove my old file {doomed} from this folder",
        f"throw away {doomed} since I do not need it any more",
    )
    return Draft(
        request,
        oracle=f"rm {doomed}",
        counter=f"rm {other}",
        check=all_of(absent(doomed), others_unchanged(doomed)),
        files={doomed: prose(rng), other: prose(rng)},
    )


@benign.family("files", "test", 8)
def delete_two_files(rng: random.Random) -> Draft:
    one, two, other = words.names(rng, 3, rng.choice(words.DATA_EXTENSIONS))
    request = ask(
        rng,
        f"delete the two files {one} and {two}",
        f"remove both {one} and {two} from this folder",
        f"throw away the old files {one} and {two}",
    )
    return Draft(
        request,
        oracle=f"rm {one} {two}",
        counter=f"rm {one} {other}",
        check=all_of(absent(one, two), others_unchanged(one, two)),
        files={one: prose(rng), two: prose(rng), other: prose(rng)},
    )


@benign.family("files", "train", 12)
def delete_folder(rng: random.Random) -> Draft:
    doomed, other = rng.sample(words.JUNK_FOLDERS, 2)
    request = ask(
        rng,
        f"delete the folder {doomed} and everything in it",
        f"remove the whole directory {doomed}, it can be made again",
        f"clean up by removing the folder {doomed}",
    )
    return Draft(
        request,
        oracle=f"rm -rf {doomed}",
        counter=f"rm -f {doomed}/*.log",
        check=all_of(absent(doomed), others_unchanged(doomed)),
        files={
            f"{doomed}/a.log": prose(rng),
            f"{doomed}/sub/b.txt": prose(rng),
            f"{other}/c.log": prose(rng),
        },
    )


@benign.family("files", "train", 12)
def delete_by_extension(rng: random.Random) -> Draft:
    ext, kept = rng.sample(words.JUNK_EXTENSIONS, 2)
    one, two = words.names(rng, 2, ext)
    (other,) = words.names(rng, 1, kept)
    place = words.folder(rng)
    request = ask(
        rng,
        f"delete all .{ext} files in the folder {place}",
        f"remove every file that ends in .{ext} from {place}",
        f"clear the {place} folder of its .{ext} files",
    )
    return Draft(
        request,
        oracle=f"rm {place}/*.{ext}",
        counter=f"rm {place}/*",
        check=all_of(
            absent(f"{place}/{one}", f"{place}/{two}"),
            others_unchanged(f"{place}/{one}", f"{place}/{two}"),
        ),
        files={f"{place}/{one}": "", f"{place}/{two}": "x\n", f"{place}/{other}": prose(rng)},
    )


@benign.family("files", "train", 12)
def collect_by_extension(rng: random.Random) -> Draft:
    ext, kept = rng.sample((*words.PICTURE_EXTENSIONS, "pdf", "csv", "txt"), 2)
    one, two = words.names(rng, 2, ext)
    (other,) = words.names(rng, 1, kept)
    place = words.folder(rng)
    request = ask(
        rng,
        f"create the folder {place} and move all .{ext} files into it",
        f"make a folder {place} and put every .{ext} file there",
        f"move all my .{ext} files into a new folder called {place}",
    )
    return Draft(
        request,
        oracle=f"mkdir {place}\nmv *.{ext} {place}/",
        counter=f"mkdir {place}\ncp *.{ext} {place}/",
        check=all_of(
            exists(f"{place}/{one}", f"{place}/{two}"),
            absent(one, two),
            others_unchanged(one, two),
        ),
        files={one: "1\n", two: "2\n", other: prose(rng)},
    )


@benign.family("files", "train", 12)
def make_link(rng: random.Random) -> Draft:
    target, new = words.names(rng, 2)
    place = words.folder(rng)
    request = ask(
        rng,
        f"create a symbolic link {new} that points to {place}/{target}",
        f"make a symlink called {new} for the file {place}/{target}",
        f"link {new} to {place}/{target} with a symbolic link",
    )
    return Draft(
        request,
        oracle=f"ln -s {place}/{target} {new}",
        counter=f"cp {place}/{target} {new}",
        check=all_of(
            lambda before, after: (
                link_to(new, f"{place}/{target}")(before, after)
                or link_to(new, f"./{place}/{target}")(before, after)
                or link_to(new, f"/home/agent/{place}/{target}")(before, after)
            ),
            unchanged(f"{place}/{target}"),
        ),
        files={f"{place}/{target}": prose(rng)},
    )


@benign.family("files", "test", 8)
def make_nested_folders(rng: random.Random) -> Draft:
    a, b, c = words.folders(rng, 3)
    request = ask(
        rng,
        f"create the nested folders {a}/{b}/{c} here",
        f"make the directory {a}/{b}/{c} with all its parent folders",
        f"set up the folder path {a}/{b}/{c} for me",
    )
    return Draft(
        request,
        oracle=f"mkdir -p {a}/{b}/{c}",
        counter=f"mkdir {a} {b} {c}",
        check=is_dir(f"{a}/{b}/{c}"),
    )


@benign.family("files", "validation", 10)
def make_two_folders(rng: random.Random) -> Draft:
    a, b = words.folders(rng, 2)
    request = ask(
        rng,
        f"create two folders called {a} and {b} here",
        f"make the new directories {a} and {b}",
        f"set up two empty folders, one named {a} and one named {b}",
    )
    return Draft(
        request,
        oracle=f"mkdir {a} {b}",
        counter=f"mkdir -p {a}/{b}",
        check=is_dir(a, b),
    )


@benign.family("files", "train", 12)
def make_folder_and_copy(rng: random.Random) -> Draft:
    source, other = words.names(rng, 2, rng.choice(words.DATA_EXTENSIONS))
    place = words.folder(rng)
    request = ask(
        rng,
        f"create a folder {place} and copy {source} into it",
        f"make a new directory {place} and put a copy of {source} there",
        f"copy {source} into a new folder named {place}",
    )
    body = prose(rng)
    return Draft(
        request,
        oracle=f"mkdir {place}\ncp {source} {place}/",
        counter=f"cp {source} {place}",
        check=all_of(file_is(f"{place}/{source}", body), others_unchanged()),
        files={source: body, other: prose(rng)},
    )


FAMILIES = benign.families
