"""TLS on an accepted connection, without a thread: bytes in, bytes out.

The certificate's key lies on disk for the moment of its loading only, before
any action runs.
"""

from __future__ import annotations

import contextlib
import os
import ssl

KEY = "/tmp/key.pem"  # noqa: S108 - the sandbox's own, and gone at once


def context(key: str) -> ssl.SSLContext:
    """A server's context; `key` is PEM, the private key and the chain."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with os.fdopen(os.open(KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key)
    made.load_cert_chain(KEY)
    os.unlink(KEY)  # noqa: PTH108 - pathlib is slow to import
    return made


class Tunnel:
    """The server's side of one TLS connection over a descriptor that somebody else reads."""

    def __init__(self, made: ssl.SSLContext, fd: int) -> None:
        self._fd = fd
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.broken = False  # the peer speaks no TLS, or no more
        self._tls = made.wrap_bio(self._arrived, self._leaving, server_side=True)

    def feed(self, data: bytes) -> bytes:
        """What the peer's bytes say; the handshake is answered on the way."""
        self._arrived.write(data)
        plain = b""
        try:
            while part := self._tls.read(65536):
                plain += part
        except ssl.SSLWantReadError:  # there is no more yet
            pass
        except ssl.SSLError:
            self.broken = True
        with contextlib.suppress(OSError):
            os.write(self._fd, self._leaving.read())
        return plain

    def wrap(self, data: bytes) -> bytes:
        """The bytes that carry `data` to the peer."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.write(data)
        return self._leaving.read()
