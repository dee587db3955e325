"""The system call filter, run by a small interpreter of classic BPF."""

from __future__ import annotations

import ctypes
import errno
import struct

import pytest

from foreword.core.errors import SandboxError
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
    arch, socket = seccomp.ARCHITECTURES[machine], seccomp.SOCKET[machine]
    code = seccomp.program(machine)
    for number in seccomp.CALLS[machine].values():
        assert _verdict(code, arch, number) == seccomp.ERRNO | errno.EPERM
    for family in range(50):
        allowed = _verdict(code, arch, socket, family) == seccomp.ALLOW
        assert allowed == (family in seccomp.FAMILIES)
    assert _verdict(code, arch, 0) == seccomp.ALLOW
    assert _verdict(code, arch, socket + 1) == seccomp.ALLOW
    assert _verdict(code, 3, 0) == seccomp.ERRNO | errno.ENOSYS
    assert _verdict(code, arch, seccomp.X32 + 1) == seccomp.ERRNO | errno.ENOSYS


@pytest.mark.parametrize("machine", sorted(seccomp.CALLS))
def test_the_numbers_are_those_of_libseccomp(machine: str):
    try:
        resolve = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name_arch
    except OSError:
        pytest.skip("there is no libseccomp here to compare with")
    calls = {**seccomp.CALLS[machine], "socket": seccomp.SOCKET[machine]}
    arch = ctypes.c_uint32(seccomp.ARCHITECTURES[machine])
    assert {name: resolve(arch, name.encode()) for name in calls} == calls


def test_every_machine_is_denied_the_same():
    names = [sorted(calls) for calls in seccomp.CALLS.values()]
    assert names[0] == names[1] and seccomp.ARCHITECTURES.keys() == seccomp.CALLS.keys()


def test_an_unknown_machine_has_none():
    with pytest.raises(SandboxError, match=r"'abacus'.* run foreword on .*x86_64 or aarch64"):
        seccomp.program("abacus")
