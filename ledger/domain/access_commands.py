"""What is asked about principals: who they are, what they may do.

Nobody gives what is not theirs: whoever grants, sets a password, issues a token or enables must have every capability that
comes of it. Taking away needs no more than the command's own capability. The org keeps somebody who can manage it.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from jobledger.ledger.domain.access import (
    MANAGE_PRINCIPALS,
    Principal,
    capabilities_of,
    known_capabilities,
    known_roles,
    principal_stream,
)
from jobledger.ledger.domain.command import Caller, Command, Effect, Find, UnitOfWork
from jobledger.ledger.domain.job import DEFAULT_DOMAIN
from jobledger.ledger.errors import (
    InvalidCommandError,
    LastAdministratorError,
    NameIsTakenError,
    NotAllowedError,
    NotFoundError,
)

# Questions: the ids of principals by name, and of those who can manage the org.
PRINCIPALS_BY_NAME = "principals_by_name"
ADMINISTRATORS = "administrators"

PRINCIPAL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LEDGER_ITSELF = "ledger"


def must_see_all(caller: Caller) -> None:
    """Raise NotAllowedError for a caller of some domains: what is of the whole org, as principals are, is not for it."""
    if caller.domains is not None:
        raise NotAllowedError("This is of the whole org, and you may see only some of its domains.")


def must_have(caller: Caller, capabilities: frozenset[str]) -> None:
    """Raise NotAllowedError unless the caller has all of *capabilities*, or is the ledger itself."""
    missing = capabilities - caller.capabilities
    if missing and caller.principal != LEDGER_ITSELF:
        raise NotAllowedError(
            f"Nobody gives what is not theirs: this needs {', '.join(sorted(missing))} too.",
            capabilities=sorted(missing),
        )


@dataclass(slots=True, kw_only=True, eq=False)
class AddPrincipal(Command):
    """Add a principal, with a password where a hash of one is given. The result is ``{"id", "name", "version"}``."""

    capability: ClassVar[str] = MANAGE_PRINCIPALS
    name: str
    roles: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    home_domain: str = DEFAULT_DOMAIN
    domains: tuple[str, ...] | None = None
    credential: UUID | None = None
    password_hash: str | None = None

    def finds(self) -> Iterable[Find]:
        """Whether the name is free."""
        return (Find(PRINCIPALS_BY_NAME, (self.name,)),)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NameIsTakenError, InvalidCommandError, NotAllowedError."""
        if not PRINCIPAL_NAME.fullmatch(self.name):
            raise InvalidCommandError(
                "A principal's name is 1 to 64 letters, digits, '.', '_' and '-', the first a letter or a digit.",
                name=self.name,
            )
        roles, capabilities = known_roles(self.roles), known_capabilities(self.capabilities)
        must_see_all(self.caller)
        must_have(self.caller, capabilities_of(roles, capabilities))
        if unit.found(Find(PRINCIPALS_BY_NAME, (self.name,))):
            raise NameIsTakenError(f"There is a principal {self.name}.", name=self.name)
        number = unit.next_number("principal")
        principal = unit.begin(
            Principal.Added,
            principal_stream(number),
            name=self.name,
            roles=roles,
            capabilities=capabilities or None,
            home_domain=self.home_domain,
            domains=None if self.domains is None else list(dict.fromkeys(self.domains)),
        )
        unit.outdate(PRINCIPALS_BY_NAME, self.name)
        if self.credential is not None and self.password_hash is not None:
            row = (self.credential, number, "password", self.password_hash.encode(), unit.now, None)
            unit.affect(Effect("credential", row))
            principal.trigger_event(Principal.PasswordSet, timestamp=unit.now, credential=str(self.credential))
            unit.outdate(ADMINISTRATORS)
        return {"id": number, "name": self.name, "version": principal.version}


@dataclass(slots=True, kw_only=True, eq=False)
class PrincipalCommand(Command):
    """Base of what is asked of one principal, by its number or its name. The result is ``{"id", "name", "version", …}``."""

    capability: ClassVar[str] = MANAGE_PRINCIPALS
    principal: int | str

    def streams(self) -> Iterable[str]:
        """The principal, if it is named by its number."""
        return (principal_stream(self.principal),) if isinstance(self.principal, int) else ()

    def finds(self) -> Iterable[Find]:
        """Who can manage the org, and, where it is not known, whom this is about."""
        administrators = Find(ADMINISTRATORS, ())
        who = self.who()
        return (administrators,) if who is None else (administrators, who)

    def who(self) -> Find | None:
        """The question of whom it is about; None where that is known."""
        return None if isinstance(self.principal, int) else Find(PRINCIPALS_BY_NAME, (self.principal,))

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """The principal."""
        _administrators, *found = answers
        return (principal_stream(number) for it in found for number in it.values())

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, LastAdministratorError, NotAllowedError, and what the change raises."""
        principal = self.found_principal(unit)
        was_administrator = principal.is_administrator
        further = self.change(unit, principal)
        if was_administrator != principal.is_administrator:
            others = set(unit.found(Find(ADMINISTRATORS, ()))) - {principal.principal_id}
            if was_administrator and not others:
                raise LastAdministratorError(
                    f"{principal.name} is the only one left who can come in and manage principals. Add another first."
                )
            unit.outdate(ADMINISTRATORS)
        return {"id": principal.principal_id, "name": principal.name, "version": principal.version, **further}

    @abstractmethod
    def change(self, unit: UnitOfWork, principal: Principal) -> dict[str, Any]:
        """Change it; what the result says beside who it is."""

    def found_principal(self, unit: UnitOfWork) -> Principal:
        """The principal, for one who may manage it. Raises NotAllowedError, NotFoundError."""
        must_see_all(self.caller)
        who = self.who()
        numbers = [self.principal] if who is None else list(unit.found(who).values())
        found = unit.get(Principal, f"principal-{numbers[0]}") if numbers else None
        if found is None:
            raise self.absent()
        return found

    def absent(self) -> NotFoundError:
        """What to say where there is no such principal."""
        key = "id" if isinstance(self.principal, int) else "name"
        return NotFoundError(f"There is no principal {self.principal}.", **{key: self.principal})


@dataclass(slots=True, kw_only=True, eq=False)
class ChangePrincipal(PrincipalCommand):
    """Grant other roles, capabilities or domains; what is None stays. ``sees_all`` lifts the limit to some domains."""

    roles: tuple[str, ...] | None = None
    capabilities: tuple[str, ...] | None = None
    home_domain: str | None = None
    domains: tuple[str, ...] | None = None
    sees_all: bool = False

    def change(self, unit: UnitOfWork, principal: Principal) -> dict[str, Any]:
        """Raises InvalidCommandError, NotAllowedError. No event where nothing is other than it was."""
        if self.domains is not None and self.sees_all:
            raise InvalidCommandError("Either some domains or all of them.")
        roles = principal.roles if self.roles is None else known_roles(self.roles)
        capabilities = principal.capabilities if self.capabilities is None else known_capabilities(self.capabilities)
        home_domain = self.home_domain or principal.home_domain
        domains = principal.domains if self.domains is None else list(dict.fromkeys(self.domains))
        domains = None if self.sees_all else domains
        before = (principal.roles, principal.capabilities, principal.home_domain, principal.domains)
        must_have(self.caller, capabilities_of(roles, capabilities) - principal.granted)
        if is_wider(domains, principal.domains):
            # In more domains all that it may do is more.
            must_have(self.caller, capabilities_of(roles, capabilities))
        if (roles, capabilities, home_domain, domains) != before:
            principal.trigger_event(
                Principal.Granted,
                timestamp=unit.now,
                roles=roles,
                capabilities=capabilities,
                home_domain=home_domain,
                domains=domains,
            )
        return {}


def is_wider(domains: list[str] | None, before: list[str] | None) -> bool:
    """Whether some of *domains* were not seen before."""
    return before is not None and (domains is None or not set(domains) <= set(before))


@dataclass(slots=True, kw_only=True, eq=False)
class DisablePrincipal(PrincipalCommand):
    """Let nothing let it in until it is enabled."""

    reason: str | None = None

    def change(self, unit: UnitOfWork, principal: Principal) -> dict[str, Any]:
        """No event where it is disabled already."""
        if not principal.is_disabled:
            principal.trigger_event(Principal.Disabled, timestamp=unit.now, reason=self.reason)
        return {}


@dataclass(slots=True, kw_only=True, eq=False)
class EnablePrincipal(PrincipalCommand):
    """Let its password and its tokens let it in again."""

    reason: str | None = None

    def change(self, unit: UnitOfWork, principal: Principal) -> dict[str, Any]:
        """Raises NotAllowedError. No event where it is not disabled."""
        if principal.is_disabled:
            must_have(self.caller, principal.granted)
            principal.trigger_event(Principal.Enabled, timestamp=unit.now, reason=self.reason)
        return {}
