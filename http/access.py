"""Who is asking: Bearer tokens and HTTP Basic become a caller, and a password a token."""

from __future__ import annotations

import asyncio
import hmac
import os
import re
import secrets
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from math import ceil
from time import monotonic
from typing import NamedTuple, TypeAlias, TypeVar, TypeVarTuple
from uuid import uuid4

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from jobledger.http.believed import Believed, Known
from jobledger.http.throttle import Throttle, network_of
from jobledger.ledger.domain.access import LOGGED_IN, ORG_NAME, capabilities_of
from jobledger.ledger.domain.command import Caller, Idempotency
from jobledger.ledger.domain.credential_commands import LogIn
from jobledger.ledger.errors import NotAllowedError, TooManyAttemptsError, UnavailableError
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.principal_query import KnownPrincipal, PrincipalQuery

TOKEN = re.compile(rf"jl_({ORG_NAME.pattern})_[A-Za-z0-9_-]{{43}}")
TOKEN_BYTES = 32
DEFAULT_ORG = "default"
LONGEST_PASSWORD_BYTES = 1024
# A password that was verified is good for so long without being hashed again, unless its stored hash changes.
VERIFIED_S = 60.0
MOST_VERIFIED = 10_000
HASHING_AT_ONCE = 2
# So many wait for their turn: about two seconds' worth. Whoever comes then is told to come back.
MOST_WAITING = 32
# Failed logins of a name, and from an address: so many at once, then one each so many seconds. In every process.
FAILURES_OF_NAME = (10, 30.0)
FAILURES_FROM_ADDRESS = (50, 2.0)

# Told the org and the number of a principal whose name was given, and no password of its.
TellDenied: TypeAlias = Callable[[str, int], None]

Given = TypeVarTuple("Given")
Result = TypeVar("Result")


class Shown(NamedTuple):
    """Who has shown a token or a password."""

    caller: Caller
    principal: KnownPrincipal


class Verified(NamedTuple):
    """Which of the stored hashes a password belongs to, and until when that is good without being hashed again."""

    place: int
    until: float


class Login(NamedTuple):
    """A token that a password was exchanged for; None where the request is repeated: it was shown then."""

    token: str | None
    expires_at: datetime
    caller: Caller


class Access:
    """Turns what a request shows into a caller, or None.

    What lets in is asked of the database each time, so that what is revoked, disabled or changed in any process lets nobody in
    from then on in all of them. Remembered are for a minute that a password belongs to a stored hash, and who was let in, to be
    believed where the ledger finds out by the way.
    """

    def __init__(self, principals: PrincipalQuery, ledger: Ledger, tell_failure: Callable[[], None]) -> None:
        self._principals = principals
        self._ledger = ledger
        # Of each login that fails, in whichever dialect and with whatever status it is answered.
        self._tell_failure = tell_failure
        self._hasher = PasswordHasher()
        self._hashing = asyncio.Semaphore(HASHING_AT_ONCE)
        self._hashing_or_waiting = 0
        self._verified: OrderedDict[bytes, Verified] = OrderedDict()
        self._verified_key = os.urandom(32)
        self._under_way: dict[bytes, asyncio.Task[int | None]] = {}
        self._believed = Believed(ledger.access_at)
        self._by_name = Throttle(*FAILURES_OF_NAME)
        self._by_address = Throttle(*FAILURES_FROM_ADDRESS)

    async def caller(
        self, authorization: str | None, org: str, address: str | None = None, tell_denied: TellDenied | None = None
    ) -> Caller | None:
        """Who shows *authorization* on a path of *org*; None for nobody. *tell_denied* is told of whom it is not the password.

        Raises TooManyAttemptsError, UnavailableError where too many passwords wait to be hashed, DatabaseIsAwayError.
        """
        caller = await self.known(authorization, org, address, tell_denied)
        if caller is None and authorization is not None:
            self._tell_failure()
        return caller

    async def known(
        self, authorization: str | None, org: str, address: str | None = None, tell_denied: TellDenied | None = None
    ) -> Caller | None:
        """As ``caller``, of somebody who was let in before: no longer to be is no failed login."""
        if authorization is None:
            return None
        scheme, _, credentials = authorization.partition(" ")
        match scheme.lower():
            case "bearer":
                shown = await self._by_token(credentials.strip())
            case "basic":
                shown = await self._by_basic(credentials.strip(), org, address, tell_denied)
            case _:
                return None
        if shown is None:
            return None
        caller, principal = shown
        if caller.org == org or scheme.lower() == "bearer":
            # A bare login that is another org's may be this one's too by now.
            self._believed.keep(authorization, org, caller, principal.access_at, principal.valid_s)
        return caller

    def believed(self, authorization: str | None, org: str) -> Known | None:
        """Who showed this on a path of *org* a while ago, without its being asked whether that is still so; None for nobody."""
        return None if authorization is None else self._believed.recall(authorization, org)

    async def _by_token(self, token: str) -> Shown | None:
        """Whose token it is; None for nobody's, also if it expired or was revoked. Raises DatabaseIsAwayError."""
        match = TOKEN.fullmatch(token)
        if match is None:
            return None
        org = match[1]
        principal = await self._principals.by_token(org, sha256(token.encode()).digest())
        return None if principal is None else Shown(_caller(org, principal), principal)

    async def by_password(
        self,
        login: str,
        password: str,
        org: str = DEFAULT_ORG,
        address: str | None = None,
        tell_denied: TellDenied | None = None,
    ) -> Shown | None:
        """Whose password it is; *login* is ``name@org``, or a name of *org*, else of ``default``, whose matches.

        Raises as ``caller``.
        """
        if not login or "\0" in login or len(password.encode()) > LONGEST_PASSWORD_BYTES:
            return None
        name, at, named_org = login.rpartition("@")
        orgs = [it for it in dict.fromkeys((named_org,) if at else (org, DEFAULT_ORG)) if ORG_NAME.fullmatch(it)]
        name = name if at else login
        # All of them are asked for, tried and counted, so that nobody learns, by the answer or by the time it takes, where a
        # name is known.
        known = [await self._principals.by_name(it, name) for it in orgs]
        stored = [None if it is None or it.is_disabled else it.password_hash for it in known]
        whom = [sha256(f"{it}\0{name}".encode()).digest() for it in orgs]
        right: int | None = None
        try:
            right = await self._right_one(password, stored or [None], whom, address)
        except TooManyAttemptsError:
            _tell(tell_denied, orgs, known)
            raise
        principal = None if right is None else known[right]
        if right is None or principal is None:
            _tell(tell_denied, orgs, known)
            return None
        return Shown(_caller(orgs[right], principal), principal)

    async def login(
        self,
        login: str,
        password: str,
        *,
        via: str,
        org: str = DEFAULT_ORG,
        address: str | None = None,
        request: str | None = None,
        idempotency: Idempotency | None = None,
        tell_denied: TellDenied | None = None,
    ) -> Login | None:
        """Exchange a password for a token of 12 hours, which is an event; None where it is nobody's.

        Raises as ``caller``, and as ``Ledger.execute``.
        """
        shown = await self.by_password(login, password, org, address, tell_denied)
        if shown is None:
            self._tell_failure()
            return None
        token = new_token(shown.caller.org)
        caller = replace(shown.caller, via=via, address=address, request=request)
        try:
            outcome = await self._ledger.execute(
                LogIn(
                    caller=just_now(caller),
                    idempotency=idempotency,
                    principal=shown.principal.number,
                    credential=uuid4(),
                    token_hash=sha256(token.encode()).digest(),
                    shown=shown.principal.credential or "",
                )
            )
        except NotAllowedError:
            # The password was changed, or the principal disabled, in between.
            return None
        expires_at = datetime.fromisoformat(outcome.result["expires_at"])
        return Login(None if outcome.is_repeated else token, expires_at, caller)

    async def hash_password(self, password: str) -> str:
        """Its argon2id hash. Raises UnavailableError where too many wait for theirs."""
        return await self._in_thread(self._hasher.hash, password)

    async def _by_basic(
        self, credentials: str, org: str, address: str | None, tell_denied: TellDenied | None
    ) -> Shown | None:
        try:
            login, colon, password = b64decode(credentials, validate=True).decode().partition(":")
        except ValueError:
            # Not base64, not ASCII, not UTF-8.
            return None
        return await self.by_password(login, password, org, address, tell_denied) if colon else None

    async def _right_one(
        self, password: str, stored: list[str | None], whom: list[bytes], address: str | None
    ) -> int | None:
        """The place of the first of the *stored* that the password belongs to, None for none of them."""
        marks = (hmac.digest(self._verified_key, f"{it}\0{password}".encode(), sha256) for it in stored)
        attempt = b"".join((*marks, *whom))
        known = self._verified.get(attempt)
        if known is not None and known.until > monotonic():
            return known.place
        verifying = self._under_way.get(attempt)
        if verifying is None:
            verifying = asyncio.create_task(self._verify(attempt, password, stored, whom, address))
            self._under_way[attempt] = verifying
            verifying.add_done_callback(lambda task: self._verification_ended(attempt, task))
        # Of many requests with one login the first pays, and goes on for the others though its client goes away.
        return await asyncio.shield(verifying)

    def _verification_ended(self, attempt: bytes, task: asyncio.Task[int | None]) -> None:
        del self._under_way[attempt]
        if not task.cancelled():
            task.exception()  # is looked at here, should nobody be left to look

    async def _verify(
        self, attempt: bytes, password: str, stored: list[str | None], whom: list[bytes], address: str | None
    ) -> int | None:
        counts = [(self._by_name, it) for it in whom]
        if address is not None:
            counts.append((self._by_address, network_of(address).encode()))
        wait_s = max((throttle.wait_s(it) for throttle, it in counts), default=0.0)
        # Who has shown this very password before, while it was the one stored, is no guesser.
        if wait_s and attempt not in self._verified:
            raise TooManyAttemptsError("Too many attempts to log in have failed.", retry_after_s=ceil(wait_s))
        for throttle, it in counts:
            throttle.count(it)
        is_decided, right = False, None
        try:
            right = await self._in_thread(self._matching, stored, password)
            is_decided = True
        finally:
            if right is not None or not is_decided:
                for throttle, it in counts:
                    throttle.forgive(it)
        if right is not None:
            self._verified[attempt] = Verified(right, monotonic() + VERIFIED_S)
            self._verified.move_to_end(attempt)
            if len(self._verified) > MOST_VERIFIED:
                self._verified.popitem(last=False)
        return right

    async def _in_thread(self, work: Callable[[*Given], Result], *given: *Given) -> Result:
        if self._hashing_or_waiting >= HASHING_AT_ONCE + MOST_WAITING:
            raise UnavailableError("Too many passwords wait to be looked at.", retry_after_s=2)
        self._hashing_or_waiting += 1
        try:
            async with self._hashing:
                return await asyncio.to_thread(work, *given)
        finally:
            self._hashing_or_waiting -= 1

    def _matching(self, stored: list[str | None], password: str) -> int | None:
        return next((place for place, it in enumerate(stored) if self._matches(it, password)), None)

    def _matches(self, stored: str | None, password: str) -> bool:
        if stored is None:
            # So that an unknown name takes as long as a known one.
            self._hasher.hash(password)
            return False
        try:
            return self._hasher.verify(stored, password)
        except (Argon2Error, InvalidHashError):
            return False


def new_token(org: str) -> str:
    """A token of the org that nobody has had."""
    return f"jl_{org}_{secrets.token_urlsafe(TOKEN_BYTES)}"


def just_now(caller: Caller) -> Caller:
    """The caller as one who has just shown its password."""
    return replace(caller, capabilities=caller.capabilities | {LOGGED_IN})


def _tell(tell_denied: TellDenied | None, orgs: Sequence[str], known: Sequence[KnownPrincipal | None]) -> None:
    """Tell of each that there is: its password was tried."""
    if tell_denied is not None:
        for org, principal in zip(orgs, known, strict=True):
            if principal is not None:
                tell_denied(org, principal.number)


# Few sets of roles are shown again and again.
_capabilities = lru_cache(maxsize=256)(capabilities_of)


def _caller(org: str, principal: KnownPrincipal) -> Caller:
    return Caller(
        org=org,
        principal=principal.stream,
        capabilities=_capabilities(principal.roles, principal.capabilities),
        home_domain=principal.home_domain,
        domains=principal.domains,
        credential=principal.credential,
    )
