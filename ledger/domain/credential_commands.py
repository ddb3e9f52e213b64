"""What principals show: passwords and tokens. Their hashes lie beside the ledger; which of them count, the events say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from jobledger.ledger.domain.access import LOGGED_IN, Principal
from jobledger.ledger.domain.access_commands import PrincipalCommand, must_have, own_stream
from jobledger.ledger.domain.command import Caller, Effect, Find, UnitOfWork
from jobledger.ledger.errors import InvalidCommandError, NotAllowedError, NotFoundError, TooManyTokensError

# The question of whose a credential is: its principal's id by its own.
PRINCIPALS_BY_CREDENTIAL = "principals_by_credential"

LOGIN_LIFETIME = timedelta(hours=12)
MOST_LOGIN_TOKENS = 20
MOST_ISSUED_TOKENS = 100


@dataclass(slots=True, kw_only=True, eq=False)
class SetPassword(PrincipalCommand):
    """Give it a password whose argon2id hash this is. The tokens that logins issued end with the old one."""

    credential: UUID
    password_hash: str

    def change(self, unit: UnitOfWork, principal: Principal, caller: Caller) -> dict[str, Any]:
        """Raises NotAllowedError."""
        must_have(caller, principal.granted)
        set_password(unit, principal, self.credential, self.password_hash)
        return {}


@dataclass(slots=True, kw_only=True, eq=False)
class OwnCommand(PrincipalCommand):
    """What a principal does to itself, having shown its password: *shown* is the id of its credential."""

    capability: ClassVar[str] = LOGGED_IN
    shown: str

    def caller_now(self, unit: UnitOfWork) -> Caller:
        """Who asks is the principal, and has just shown who it is: see below."""
        return self.caller

    def found_principal(self, unit: UnitOfWork) -> Principal:
        """Raises NotAllowedError where it was another, or was changed, or the principal disabled, meanwhile."""
        return must_be_shown(unit, self.caller.principal, self.shown)


@dataclass(slots=True, kw_only=True, eq=False)
class SetOwnPassword(OwnCommand):
    """Change one's own password."""

    credential: UUID
    password_hash: str

    def change(self, unit: UnitOfWork, principal: Principal, caller: Caller) -> dict[str, Any]:
        """The new one takes its place."""
        set_password(unit, principal, self.credential, self.password_hash)
        return {}


@dataclass(slots=True, kw_only=True, eq=False)
class RemovePassword(PrincipalCommand):
    """Leave it without a password: only tokens let it in."""

    def change(self, unit: UnitOfWork, principal: Principal, caller: Caller) -> dict[str, Any]:
        """No event where it has none."""
        if principal.password is not None:
            end_logins(unit, principal, "password removed")
            unit.affect(Effect("drop_credentials", (UUID(principal.password),)))
            principal.trigger_event(Principal.PasswordRemoved, timestamp=unit.now)
        return {}


@dataclass(slots=True, kw_only=True, eq=False)
class IssueToken(PrincipalCommand):
    """Issue a token whose SHA-256 is given. The result says ``credential`` and ``expires_at`` too."""

    capability: ClassVar[str] = "tokens.manage"
    credential: UUID
    token_hash: bytes
    expires_at: datetime | None = None
    lifetime: timedelta | None = None
    label: str | None = None

    def change(self, unit: UnitOfWork, principal: Principal, caller: Caller) -> dict[str, Any]:
        """Raises InvalidCommandError, NotAllowedError, TooManyTokensError."""
        must_have(caller, principal.granted)
        expires_at = self.expires_at if self.lifetime is None else unit.now + self.lifetime
        if expires_at is not None and expires_at <= unit.now:
            raise InvalidCommandError("The token would have expired already.", expires_at=expires_at)
        alive = [it for it in principal.tokens.values() if it.is_alive(unit.now) and not it.is_login]
        if len(alive) >= MOST_ISSUED_TOKENS:
            raise TooManyTokensError(
                f"{principal.name} has {len(alive)} tokens: revoke those that are not needed.", limit=MOST_ISSUED_TOKENS
            )
        return issue_token(
            unit, principal, self.credential, self.token_hash, expires_at=expires_at, is_login=None, label=self.label
        )


@dataclass(slots=True, kw_only=True, eq=False)
class LogIn(OwnCommand):
    """Issue the token of a login.

    It lasts 12 hours; of more than 20 that are alive the oldest is revoked.
    """

    credential: UUID
    token_hash: bytes

    def change(self, unit: UnitOfWork, principal: Principal, caller: Caller) -> dict[str, Any]:
        """See the class."""
        alive = [name for name, it in principal.tokens.items() if it.is_login and it.is_alive(unit.now)]
        for credential in alive[: max(0, len(alive) - MOST_LOGIN_TOKENS + 1)]:
            revoke_token(unit, principal, credential, "a newer login")
        expires_at = unit.now + LOGIN_LIFETIME
        return issue_token(
            unit, principal, self.credential, self.token_hash, expires_at=expires_at, is_login=True, label=None
        )


@dataclass(slots=True, kw_only=True, eq=False)
class LogOut(PrincipalCommand):
    """A principal ends the token that it shows; one that has ended stays so, and a password is none."""

    capability: ClassVar[str] = LOGGED_IN

    def caller_now(self, unit: UnitOfWork) -> Caller:
        """Who asks, as of a moment ago: it takes nothing but what itself has shown."""
        return self.caller

    def found_principal(self, unit: UnitOfWork) -> Principal:
        """Itself. Raises NotAllowedError."""
        principal = unit.get(Principal, self.caller.principal)
        if principal is None:
            raise NotAllowedError("Only a principal has tokens.")
        return principal

    def change(self, unit: UnitOfWork, principal: Principal, caller: Caller) -> dict[str, Any]:
        """See the class."""
        shown = caller.credential
        if shown is not None and shown in principal.tokens:
            revoke_token(unit, principal, shown, "logged out")
        return {}


@dataclass(slots=True, kw_only=True, eq=False)
class RevokeToken(PrincipalCommand):
    """End a token, at once and everywhere, by its credential's id."""

    capability: ClassVar[str] = "tokens.manage"
    principal: int | str = 0
    credential: UUID
    reason: str | None = None

    def streams(self) -> Iterable[str]:
        """Who asks; whose it is is not known yet."""
        return own_stream(self.caller)

    def who(self) -> Find | None:
        """Whose it is."""
        return Find(PRINCIPALS_BY_CREDENTIAL, (self.credential,))

    def absent(self) -> NotFoundError:
        """One that was revoked is as absent as one that never was."""
        return NotFoundError(f"There is no token {self.credential}.", token=str(self.credential))

    def change(self, unit: UnitOfWork, principal: Principal, caller: Caller) -> dict[str, Any]:
        """Raises NotFoundError."""
        if str(self.credential) not in principal.tokens:
            raise self.absent()
        revoke_token(unit, principal, str(self.credential), self.reason)
        return {"credential": str(self.credential)}


@dataclass(slots=True, kw_only=True, eq=False)
class RevokeTokens(PrincipalCommand):
    """End all tokens of a principal. The result says ``revoked``, their credentials' ids, too."""

    capability: ClassVar[str] = "tokens.manage"
    reason: str | None = None

    def change(self, unit: UnitOfWork, principal: Principal, caller: Caller) -> dict[str, Any]:
        """No event where it has none."""
        revoked = list(principal.tokens)
        for credential in revoked:
            revoke_token(unit, principal, credential, self.reason)
        return {"revoked": revoked}


def must_be_shown(unit: UnitOfWork, stream: str, shown: str) -> Principal:
    """The principal, whose password is the one that was shown, still and all. Raises NotAllowedError."""
    principal = unit.get(Principal, stream)
    if principal is None or principal.is_disabled or principal.password != shown:
        raise NotAllowedError("The current password is another.")
    return principal


def set_password(unit: UnitOfWork, principal: Principal, credential: UUID, password_hash: str) -> None:
    """Set the password; the hash of the one before goes, and the tokens that logins issued end."""
    end_logins(unit, principal, "password changed")
    if principal.password is not None:
        unit.affect(Effect("drop_credentials", (UUID(principal.password),)))
    row = (credential, principal.principal_id, "password", password_hash.encode(), unit.now, None)
    unit.affect(Effect("credential", row))
    principal.trigger_event(Principal.PasswordSet, timestamp=unit.now, credential=str(credential))


def issue_token(
    unit: UnitOfWork,
    principal: Principal,
    credential: UUID,
    token_hash: bytes,
    *,
    expires_at: datetime | None,
    is_login: bool | None,
    label: str | None,
) -> dict[str, Any]:
    """Issue a token; what its issuing says of it."""
    before = set(principal.tokens)
    principal.trigger_event(
        Principal.TokenIssued,
        timestamp=unit.now,
        credential=str(credential),
        expires_at=expires_at,
        is_login=is_login,
        label=label,
    )
    for forgotten in before - principal.tokens.keys():
        unit.affect(Effect("drop_credentials", (UUID(forgotten),)))
    unit.affect(Effect("credential", (credential, principal.principal_id, "token", token_hash, unit.now, expires_at)))
    unit.outdate(PRINCIPALS_BY_CREDENTIAL, credential)
    return {"credential": str(credential), "expires_at": None if expires_at is None else expires_at.isoformat()}


def revoke_token(unit: UnitOfWork, principal: Principal, credential: str, reason: str | None) -> None:
    """End one of the principal's tokens."""
    unit.affect(Effect("drop_credentials", (UUID(credential),)))
    principal.trigger_event(Principal.TokenRevoked, timestamp=unit.now, credential=credential, reason=reason)


def end_logins(unit: UnitOfWork, principal: Principal, reason: str) -> None:
    """End the tokens that logins issued."""
    for credential in [name for name, it in principal.tokens.items() if it.is_login]:
        revoke_token(unit, principal, credential, reason)
