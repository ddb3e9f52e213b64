"""The settings, read from the environment in this one place."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from jobledger.scripts.failure import UsageError

DEFAULT_DATA = Path("jobledger-data")
DEFAULT_START_TIMEOUT = timedelta(days=2)
SECRET_KEY_BYTES = 32
# What is usual is also the most: attachments are kept in the database, and in each of its backups.
MOST_ATTACHMENT_BYTES = 64 * 1024 * 1024
LONGEST_PASSWORD_BYTES = 1024
PREFIX = "JOBLEDGER_"
# What may stand in a backup: neither keys and passwords nor a URL that may hold one.
SHOWN = (
    *(
        "WITNESS_DIR",
        "START_TIMEOUT",
        "TLS_CERT",
        "TLS_KEY",
        "PUBLIC_URL",
        "TRUSTED_PROXIES",
        "LOG",
        "LARGEST_ATTACHMENT",
    ),
    *("SCP_ALLOW", "SCP_KNOWN_HOSTS", "SCP_TRUST"),
)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, and ``--data`` over it. An empty variable counts as absent.

    ``database_url`` absent: the embedded Postgres in ``data``. ``admin_password``, ``secret_key`` and ``signing_keys`` absent:
    files in ``data``; ``witness`` absent: a folder there. ``start_timeout`` is that of fetches. ``public_url``: absent, the
    request's own host. ``trusted_proxies``: addresses and networks. ``largest_attachment_bytes``: of each, 64 MiB at most.
    ``scp_allow``: the networks that archives may be copied to, absent: see ``RemoteHosts``. ``scp_known_hosts``: a file, or a
    folder with one for each org, absent: that in ``data``.
    """

    data: Path = DEFAULT_DATA
    database_url: str | None = field(default=None, repr=False)
    admin_password: str | None = field(default=None, repr=False)
    secret_key: bytes | None = field(default=None, repr=False)
    signing_keys: str | None = field(default=None, repr=False)
    witness: Path | None = None
    start_timeout: timedelta = DEFAULT_START_TIMEOUT
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    public_url: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    logs_requests: bool = True
    largest_attachment_bytes: int = MOST_ATTACHMENT_BYTES
    scp_allow: tuple[str, ...] | None = None
    scp_known_hosts: Path | None = None
    scp_trusts_first: bool = False

    @classmethod
    def read(cls, environment: Mapping[str, str], data: Path | None = None) -> Settings:
        """The settings. Raises UsageError for one that cannot be used."""
        values = {
            name.removeprefix(PREFIX): value for name, value in environment.items() if value and name.startswith(PREFIX)
        }
        start_timeout = values.get("START_TIMEOUT")
        return cls(
            data=data or Path(values.get("DATA", DEFAULT_DATA)),
            database_url=_read_url(values.get("DATABASE_URL")),
            admin_password=_read_password(values.get("ADMIN_PASSWORD")),
            secret_key=_read_secret_key(values.get("SECRET_KEY")),
            signing_keys=_read_signing_keys(values.get("SIGNING_KEY")),
            witness=_read_path(values.get("WITNESS_DIR")),
            start_timeout=(
                DEFAULT_START_TIMEOUT
                if start_timeout is None
                else read_duration(start_timeout, "JOBLEDGER_START_TIMEOUT")
            ),
            tls_certificate=_read_path(values.get("TLS_CERT")),
            tls_key=_read_path(values.get("TLS_KEY")),
            public_url=_read_public_url(values.get("PUBLIC_URL")),
            trusted_proxies=_read_networks(values.get("TRUSTED_PROXIES"), "JOBLEDGER_TRUSTED_PROXIES"),
            logs_requests=_read_log(values.get("LOG")),
            largest_attachment_bytes=_read_size(values.get("LARGEST_ATTACHMENT")),
            scp_allow=(_read_networks(values["SCP_ALLOW"], "JOBLEDGER_SCP_ALLOW") if "SCP_ALLOW" in values else None),
            scp_known_hosts=_read_path(values.get("SCP_KNOWN_HOSTS")),
            scp_trusts_first=_read_trust(values.get("SCP_TRUST")),
        )


def shown_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings that are set, but for secrets, as the environment has them."""
    names = [f"{PREFIX}{it}" for it in SHOWN]
    return {name: environment[name] for name in names if environment.get(name)}


def read_duration(text: str, name: str) -> timedelta:
    """A duration like ``90``, ``90s``, ``15m``, ``12h`` or ``2d``: more than nothing. Raises UsageError, naming *name*."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    seconds = int(match[1]) * UNITS[match[2] or "s"] if match else 0
    if not 0 < seconds <= 2**31 - 1:
        raise UsageError(f"{name} is a number of seconds, or one with s, m, h or d after it, like 12h; not {text!r}.")
    return timedelta(seconds=seconds)


def _read_url(text: str | None) -> str | None:
    # The text itself is never shown: it may hold a password.
    if text is not None and not text.startswith(("postgres://", "postgresql://")):
        raise UsageError("JOBLEDGER_DATABASE_URL begins with postgresql://.")
    return text


def _read_password(text: str | None) -> str | None:
    if text is not None:
        must_be_password(text, "JOBLEDGER_ADMIN_PASSWORD")
    return text


def must_be_password(text: str, name: str) -> None:
    """Raise UsageError, naming *name*, unless a principal may have this password."""
    if not text.isprintable() or not 0 < len(text.encode()) <= LONGEST_PASSWORD_BYTES:
        raise UsageError(f"{name} is of printable characters, 1 to {LONGEST_PASSWORD_BYTES} bytes long.")


def _read_secret_key(text: str | None) -> bytes | None:
    return None if text is None else decode_secret_key(text, "JOBLEDGER_SECRET_KEY")


def _read_signing_keys(text: str | None) -> str | None:
    # The text itself is never shown.
    words = [] if text is None else text.replace(",", " ").split()
    if not all(re.fullmatch(rf"[0-9A-Fa-f]{{{2 * SECRET_KEY_BYTES}}}", it) for it in words):
        raise UsageError(
            f"JOBLEDGER_SIGNING_KEY is {2 * SECRET_KEY_BYTES} hex digits, as `openssl rand -hex 32` makes them; "
            "of more than one key, with a comma between, the newest last."
        )
    return text


def decode_secret_key(text: str, name: str) -> bytes:
    """The key that 64 hex digits stand for. Raises UsageError, naming *name*."""
    if not re.fullmatch(rf"[0-9A-Fa-f]{{{2 * SECRET_KEY_BYTES}}}", text):
        raise UsageError(f"{name} is {2 * SECRET_KEY_BYTES} hex digits, as `openssl rand -hex 32` makes them.")
    return bytes.fromhex(text)


def _read_path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _read_public_url(text: str | None) -> str | None:
    # Paths in answers begin at the root, so that a path here would not be in all of them.
    if text is not None and not re.fullmatch(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?", text):
        raise UsageError("JOBLEDGER_PUBLIC_URL is http:// or https://, a host, and perhaps a port; no path.")
    return None if text is None else text.rstrip("/")


def _read_networks(text: str | None, name: str) -> tuple[str, ...]:
    words = (text or "").replace(",", " ").split()
    try:
        return tuple(str(ipaddress.ip_network(word)) for word in words)
    except ValueError as error:
        raise UsageError(f"{name} is addresses and networks with commas between: {error}.") from None


def _read_size(text: str | None) -> int:
    if text is None:
        return MOST_ATTACHMENT_BYTES
    size_bytes = int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else 0
    if not 0 < size_bytes <= MOST_ATTACHMENT_BYTES:
        raise UsageError(f"JOBLEDGER_LARGEST_ATTACHMENT is a number of bytes, 1 to {MOST_ATTACHMENT_BYTES}.")
    return size_bytes


def _read_trust(text: str | None) -> bool:
    if text not in (None, "pinned", "first-use"):
        raise UsageError(
            "JOBLEDGER_SCP_TRUST is pinned (only known keys) or first-use (a host's first key is trusted)."
        )
    return text == "first-use"


def _read_log(text: str | None) -> bool:
    if text not in (None, "json", "off"):
        raise UsageError("JOBLEDGER_LOG is json (a line for each request) or off (none).")
    return text != "off"
