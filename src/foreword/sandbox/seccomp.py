"""A small system call filter (classic BPF) for what namespaces do not fence off.

Memory that no limit counts (memfd, System V shared memory and queues),
sockets that are not bound to a network namespace (vsock and other families),
and parts of the kernel that have no business here. Everything else is allowed.
"""

from __future__ import annotations

import errno
import struct

ALLOW = 0x7FFF0000  # SECCOMP_RET_ALLOW, linux/seccomp.h
ERRNO = 0x00050000  # SECCOMP_RET_ERRNO
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # linux/bpf_common.h
NUMBER, ARCH, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
X32 = 0x40000000
FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK

# audit architecture, number of socket(2), numbers of the denied calls (asm/unistd.h)
DENIED = (  # noqa: SIM905
    "memfd_create memfd_secret shmget msgget ptrace process_vm_readv process_vm_writev "
    "userfaultfd bpf perf_event_open io_uring_setup keyctl add_key request_key "
    "unshare setns mount pivot_root"
).split()
CALLS: dict[str, tuple[int, int, tuple[int, ...]]] = {
    "x86_64": (
        0xC000003E,
        41,
        (319, 447, 29, 68, 101, 310, 311, 323, 321, 298, 425, 250, 248, 249, 272, 308, 165, 155),
    ),
    "aarch64": (
        0xC00000B7,
        198,
        (279, 447, 194, 186, 117, 270, 271, 282, 280, 241, 425, 219, 217, 218, 97, 268, 40, 41),
    ),
}


def program(machine: str) -> bytes | None:
    """The filter for a machine as `platform.machine()` names it; None for an unknown one."""
    if machine not in CALLS:
        return None
    arch, socket, denied = CALLS[machine]
    code = [
        (LOAD, 0, 0, ARCH),
        (EQUAL, 1, 0, arch),
        (RETURN, 0, 0, ERRNO | errno.ENOSYS),  # a 32-bit call from a 64-bit program
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, ERRNO | errno.ENOSYS),
    ]
    for number in denied:
        code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | errno.EPERM)]
    code += [(EQUAL, 0, 2 * len(FAMILIES) + 2, socket), (LOAD, 0, 0, FIRST_ARGUMENT)]
    for family in FAMILIES:
        code += [(EQUAL, 0, 1, family), (RETURN, 0, 0, ALLOW)]
    code += [(RETURN, 0, 0, ERRNO | errno.EAFNOSUPPORT), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("HBBI", *line) for line in code)
