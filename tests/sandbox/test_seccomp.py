"""The system call filter, run by a small interpreter of classic BPF."""

from __future__ import annotations

import errno
import struct

import pytest

from foreword.sandbox import seccomp


def _verdict(code: bytes, arch: int, number: int, first: int = 0) -> int:
    lines = list(struct.iter_unpack("HBBI", code))
    data = struct.pack("IIQQ", number, arch, 0, first)
    at, value = 0, 0
    while True:
        what, yes, no, k = lines[at]
        at += 1
        if what == seccomp.LOAD:
            value = struct.unpack_from("I", data, k)[0]
        elif what == seccomp.RETURN:
            return int(k)
        else:
            met = value == k if what == seccomp.EQUAL else value >= k
            at += yes if met else no


@pytest.mark.parametrize("machine", sorted(seccomp.CALLS))
def test_what_it_denies_and_allows(machine: str):
    arch, socket, denied = seccomp.CALLS[machine]
    code = seccomp.program(machine)
    assert code is not None
    for number in denied:
        assert _verdict(code, arch, number) == seccomp.ERRNO | errno.EPERM
    for family in range(50):
        allowed = _verdict(code, arch, socket, family) == seccomp.ALLOW
        assert allowed == (family in seccomp.FAMILIES)
    assert _verdict(code, arch, 0) == seccomp.ALLOW
    assert _verdict(code, arch, socket + 1) == seccomp.ALLOW
    assert _verdict(code, 3, 0) == seccomp.ERRNO | errno.ENOSYS
    assert _verdict(code, arch, seccomp.X32 + 1) == seccomp.ERRNO | errno.ENOSYS
    assert len(denied) == len(seccomp.DENIED)


def test_an_unknown_machine_has_none():
    assert seccomp.program("abacus") is None
