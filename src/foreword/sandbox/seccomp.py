"""A small system call filter (classic BPF) for what namespaces do not fence off.

Memory that no limit counts (memfd, System V shared memory and queues),
sockets that are not bound to a network namespace (vsock and other families),
and parts of the kernel that have no business here. Everything else is allowed.
"""

from __future__ import annotations

import errno
import struct

from foreword.core.errors import SandboxError

ALLOW = 0x7FFF0000  # SECCOMP_RET_ALLOW, linux/seccomp.h
ERRNO = 0x00050000  # SECCOMP_RET_ERRNO
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # linux/bpf_common.h
NUMBER, ARCH, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
X32 = 0x40000000
FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
SOCKET = {"x86_64": 41, "aarch64": 198}
CALLS = {  # the denied ones and their numbers (asm/unistd.h)
    "x86_64": {
        "memfd_create": 319,
        "memfd_secret": 447,
        "shmget": 29,
        "msgget": 68,
        "ptrace": 101,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "userfaultfd": 323,
        "bpf": 321,
        "perf_event_open": 298,
        "io_uring_setup": 425,
        "keyctl": 250,
        "add_key": 248,
        "request_key": 249,
        "unshare": 272,
        "setns": 308,
        "mount": 165,
        "pivot_root": 155,
    },
    "aarch64": {
        "memfd_create": 279,
        "memfd_secret": 447,
        "shmget": 194,
        "msgget": 186,
        "ptrace": 117,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "userfaultfd": 282,
        "bpf": 280,
        "perf_event_open": 241,
        "io_uring_setup": 425,
        "keyctl": 219,
        "add_key": 217,
        "request_key": 218,
        "unshare": 97,
        "setns": 268,
        "mount": 40,
        "pivot_root": 41,
    },
}


def program(machine: str) -> bytes:
    """The filter for a machine as `platform.machine()` names it.

    Raises:
        SandboxError: none is known for it.
    """
    if machine not in CALLS:
        raise SandboxError(
            f"no system call filter is known for machine type {machine!r}, and the sandbox does "
            f"not start without: run foreword on Linux on {' or '.join(CALLS)}"
        )
    code = [
        (LOAD, 0, 0, ARCH),
        (EQUAL, 1, 0, ARCHITECTURES[machine]),
        (RETURN, 0, 0, ERRNO | errno.ENOSYS),  # a 32-bit call from a 64-bit program
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, ERRNO | errno.ENOSYS),
    ]
    for number in CALLS[machine].values():
        code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | errno.EPERM)]
    code += [(EQUAL, 0, 2 * len(FAMILIES) + 2, SOCKET[machine]), (LOAD, 0, 0, FIRST_ARGUMENT)]
    for family in FAMILIES:
        code += [(EQUAL, 0, 1, family), (RETURN, 0, 0, ALLOW)]
    code += [(RETURN, 0, 0, ERRNO | errno.EAFNOSUPPORT), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("HBBI", *line) for line in code)
