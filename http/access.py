"""Who is asking: Bearer tokens and HTTP Basic become a caller."""

from __future__ import annotations

import asyncio
import hmac
import os
import re
from base64 import b64decode
from collections import OrderedDict
from hashlib import sha256
from time import monotonic

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from jobledger.ledger.domain.access import ORG_NAME, capabilities_of
from jobledger.ledger.domain.command import Caller
from jobledger.projections.principal_query import KnownPrincipal, PrincipalQuery

TOKEN = re.compile(rf"jl_({ORG_NAME.pattern})_[A-Za-z0-9_-]{{43}}")
DEFAULT_ORG = "default"
LONGEST_PASSWORD_BYTES = 1024
# A password that was verified is good for so long without being hashed again, unless its stored hash changes.
VERIFIED_S = 60.0
MOST_VERIFIED = 10_000
HASHING_AT_ONCE = 2


class Access:
    """Turns what a request shows into a caller, or None."""

    def __init__(self, principals: PrincipalQuery) -> None:
        self._principals = principals
        self._hasher = PasswordHasher()
        self._hashing = asyncio.Semaphore(HASHING_AT_ONCE)
        self._verified: OrderedDict[bytes, float] = OrderedDict()
        self._verified_key = os.urandom(32)

    async def caller(self, authorization: str | None, org: str) -> Caller | None:
        """Who shows *authorization* on a path of *org*; None for nobody. Raises DatabaseIsAwayError."""
        scheme, _, credentials = (authorization or "").partition(" ")
        match scheme.lower():
            case "bearer":
                return await self._by_token(credentials.strip())
            case "basic":
                return await self._by_password(credentials.strip(), org)
        return None

    async def _by_token(self, token: str) -> Caller | None:
        match = TOKEN.fullmatch(token)
        if match is None:
            return None
        org = match[1]
        principal = await self._principals.by_token(org, sha256(token.encode()).digest())
        return None if principal is None else _caller(org, principal)

    async def _by_password(self, credentials: str, org: str) -> Caller | None:
        try:
            login, colon, password = b64decode(credentials, validate=True).decode().partition(":")
        except ValueError:
            # Not base64, not ASCII, not UTF-8.
            return None
        if not colon or not login or "\0" in login or len(password.encode()) > LONGEST_PASSWORD_BYTES:
            return None
        name, at, named_org = login.rpartition("@")
        orgs = (named_org,) if at else (org, DEFAULT_ORG)
        found, principal = "", None
        for found in orgs:
            if not ORG_NAME.fullmatch(found):
                continue
            principal = await self._principals.by_name(found, name if at else login)
            if principal is not None:
                break
        is_right = await self._is_right(password, None if principal is None else principal.password_hash)
        return _caller(found, principal) if principal is not None and is_right else None

    async def _is_right(self, password: str, stored: str | None) -> bool:
        mark = hmac.new(self._verified_key, f"{stored}\0{password}".encode(), sha256).digest()
        if self._verified.get(mark, 0.0) > monotonic():
            return True
        async with self._hashing:
            is_right = await asyncio.to_thread(self._verify, stored, password)
        if not is_right:
            return False
        self._verified[mark] = monotonic() + VERIFIED_S
        if len(self._verified) > MOST_VERIFIED:
            self._verified.popitem(last=False)
        return True

    def _verify(self, stored: str | None, password: str) -> bool:
        if stored is None:
            # So that an unknown name takes as long as a known one.
            self._hasher.hash(password)
            return False
        try:
            return self._hasher.verify(stored, password)
        except (Argon2Error, InvalidHashError):
            return False


def _caller(org: str, principal: KnownPrincipal) -> Caller:
    return Caller(
        org=org,
        principal=principal.stream,
        capabilities=capabilities_of(principal.roles),
        home_domain=principal.home_domain,
        domains=principal.domains,
    )
