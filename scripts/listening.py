"""The socket that a server listens on, and whether it may be served in the clear."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
import time
from pathlib import Path
from typing import Any

from jobledger.scripts.failure import FailedError, UsageError
from jobledger.scripts.settings import Settings

BACKLOG = 1024
# The workers of a server that was killed let go of its socket within moments.
IN_USE_PATIENCE_S = 1.0
POLL_S = 0.05


def must_be_safe(host: str, settings: Settings, *, is_behind_proxy: bool) -> None:
    """Raise UsageError where passwords and tokens would cross a network in the clear."""
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise UsageError("JOBLEDGER_TLS_CERT and JOBLEDGER_TLS_KEY are needed together.")
    if settings.tls_certificate is None and not is_behind_proxy and not _is_loopback(host):
        raise UsageError(
            f"{host} can be reached from other machines: set JOBLEDGER_TLS_CERT and JOBLEDGER_TLS_KEY, "
            "or give --behind-proxy if a proxy in front of this server has TLS."
        )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on the host's first address. Raises FailedError."""
    family, address = _resolve(host, port)[0]
    deadline = time.monotonic() + IN_USE_PATIENCE_S
    while True:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise FailedError(f"{host}, port {port}, cannot be listened on: {error.strerror}.") from error
            time.sleep(POLL_S)
        else:
            return listener


def url_of(listener: socket.socket, *, is_tls: bool) -> str:
    """The URL by which what *listener* accepts is asked."""
    host, port = listener.getsockname()[:2]
    return f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What serves TLS with this certificate (its chain in PEM) and key. Raises FailedError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, certificate, key)
    return context


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Let *context* show this certificate in every handshake from here on; one that it has goes on as it is.

    Raises FailedError; then it shows the one it had.
    """
    try:
        # First where it does no harm: half of a pair that does not fit would be of no use to anybody.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise FailedError(f"The certificate {certificate} and key {key} cannot be used: {error}.") from error


def _no_password() -> str:
    # Without this an encrypted key would be asked for on the terminal.
    raise ValueError("the key is encrypted")


def _is_loopback(host: str) -> bool:
    addresses = (str(address[0]).partition("%")[0] for _family, address in _resolve(host, 0))
    return all(ipaddress.ip_address(address).is_loopback for address in addresses)


def _resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    """The addresses of *host*, each with its family. Raises FailedError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no name"
        raise FailedError(f"The host {host} is not known: {why}.") from error
    return [(family, address) for family, _kind, _protocol, _name, address in found]
