"""Orgs and principals: who may do what, every grant an event."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Command, Effect, Find, UnitOfWork
from jobledger.ledger.domain.job import DEFAULT_DOMAIN
from jobledger.ledger.errors import InvalidCommandError, NameIsTakenError, NotFoundError

# First segments of the paths that the server itself or a dialect answers; an org of that name could not be told from them.
RESERVED_ORG_NAMES = frozenset(
    {"api", "ledger", "aggregates", "webconsole", "commandcenter", "console", "healthz", "readyz", "metrics", "docs"}
    | {"workflow", "info", "rest", "sharing", "mainui", "static"}
)
ORG_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
ORG_STREAM = "org"
PRINCIPALS_BY_NAME = "principals_by_name"

CAPABILITIES_BY_ROLE: dict[str, frozenset[str]] = {
    role: frozenset(capabilities.split())
    for role, capabilities in {
        "auditor": "jobs.read events.read access.read exports.create metrics.read",
        "client": "jobs.read events.read jobs.register jobs.update jobs.cancel jobs.stop queues.use",
        "operator": "jobs.read events.read jobs.register jobs.update jobs.cancel jobs.stop queues.use jobs.close jobs.reopen"
        " jobs.upgrade jobs.delete jobs.retain jobs.copy jobs.purge jobs.import schedules.read schedules.manage"
        " diagrams.manage",
        "compliance": "jobs.read events.read access.read holds.manage policy.manage jobs.purge jobs.erase jobs.retain"
        " exports.create",
        "admin": "jobs.read events.read access.read jobs.register jobs.update jobs.cancel jobs.stop queues.use queues.manage"
        " jobs.close jobs.reopen jobs.upgrade jobs.delete jobs.retain jobs.copy jobs.import schedules.read schedules.manage"
        " diagrams.manage principals.manage tokens.manage settings.manage exports.create metrics.read",
    }.items()
}


def capabilities_of(roles: Iterable[str]) -> frozenset[str]:
    """What principals of these roles may do."""
    return frozenset().union(*(CAPABILITIES_BY_ROLE[role] for role in roles))


def must_be_org_name(name: str) -> None:
    """Raise InvalidCommandError unless an org may be named so."""
    if not ORG_NAME.fullmatch(name) or name in RESERVED_ORG_NAMES:
        raise InvalidCommandError(
            "An org's name is 1 to 41 of a-z, 0-9 and -, begins with a letter, and is not a reserved word.", name=name
        )


class Org(Aggregate):
    """A tenant, from its first event on."""

    name: str

    class Event(Aggregate.Event):
        """Base of an org's events."""

    class Created(Event, Aggregate.Created):
        """The org's ledger began."""

        type_name: ClassVar[str] = "org.created"
        name: str

        def apply(self, aggregate: Org) -> None:
            """Begin."""
            aggregate.name = self.name


class Principal(Aggregate):
    """Somebody, or something, that may act in an org."""

    principal_id: int
    name: str
    roles: list[str]
    home_domain: str
    domains: list[str] | None

    class Event(Aggregate.Event):
        """Base of a principal's events."""

    class Added(Event, Aggregate.Created):
        """The principal became known. ``domains`` absent: all of them."""

        type_name: ClassVar[str] = "principal.added"
        name: str
        roles: list[str]
        home_domain: str
        domains: list[str] | None = None

        def apply(self, aggregate: Principal) -> None:
            """Begin."""
            aggregate.principal_id = int(self.originator_id.removeprefix("principal-"))
            aggregate.name = self.name
            aggregate.roles = self.roles
            aggregate.home_domain = self.home_domain
            aggregate.domains = self.domains

    class PasswordSet(Event):
        """The principal's password was set; only its credential's id is told."""

        type_name: ClassVar[str] = "principal.password_set"
        credential: str

        def apply(self, aggregate: Principal) -> None:
            """The hash is kept beside the ledger."""

    class TokenIssued(Event):
        """A token was issued; only its credential's id is told."""

        type_name: ClassVar[str] = "token.issued"
        times: ClassVar[tuple[str, ...]] = ("expires_at",)
        credential: str
        expires_at: datetime | None = None

        def apply(self, aggregate: Principal) -> None:
            """The hash is kept beside the ledger."""


Org.Created.aggregate_class = Org
Principal.Added.aggregate_class = Principal


@dataclass(slots=True, kw_only=True, eq=False)
class CreateOrg(Command):
    """Begin the org's ledger with its first event."""

    capability: ClassVar[str] = "orgs.manage"

    def streams(self) -> Iterable[str]:
        """The org."""
        return (ORG_STREAM,)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NameIsTakenError."""
        if unit.get(Org, ORG_STREAM) is not None:
            raise NameIsTakenError(f"There is an org {self.caller.org}.", name=self.caller.org)
        unit.begin(Org.Created, ORG_STREAM, name=self.caller.org)
        return {"name": self.caller.org}


@dataclass(slots=True, kw_only=True, eq=False)
class AddPrincipal(Command):
    """Add a principal, with a password where a hash of one is given. The result is ``{"id", "name"}``."""

    capability: ClassVar[str] = "principals.manage"
    name: str
    roles: tuple[str, ...]
    home_domain: str = DEFAULT_DOMAIN
    domains: tuple[str, ...] | None = None
    credential: UUID | None = None
    password_hash: str | None = None

    def finds(self) -> Iterable[Find]:
        """Whether the name is free."""
        return (Find(PRINCIPALS_BY_NAME, (self.name,)),)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NameIsTakenError, InvalidCommandError."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", self.name):
            raise InvalidCommandError(
                "A principal's name is 1 to 64 letters, digits, '.', '_' and '-'.", name=self.name
            )
        for role in self.roles:
            if role not in CAPABILITIES_BY_ROLE:
                raise InvalidCommandError(f"There is no role {role}.", role=role, roles=sorted(CAPABILITIES_BY_ROLE))
        if unit.found(Find(PRINCIPALS_BY_NAME, (self.name,))):
            raise NameIsTakenError(f"There is a principal {self.name}.", name=self.name)
        number = unit.next_number("principal")
        principal = unit.begin(
            Principal.Added,
            f"principal-{number}",
            name=self.name,
            roles=list(self.roles),
            home_domain=self.home_domain,
            domains=None if self.domains is None else list(self.domains),
        )
        unit.outdate(PRINCIPALS_BY_NAME, self.name)
        if self.credential is not None and self.password_hash is not None:
            principal.trigger_event(Principal.PasswordSet, timestamp=unit.now, credential=str(self.credential))
            unit.affect(
                Effect("credential", (self.credential, number, "password", self.password_hash.encode(), unit.now, None))
            )
        return {"id": number, "name": self.name}


@dataclass(slots=True, kw_only=True, eq=False)
class IssueToken(Command):
    """Issue a token whose SHA-256 is given to the principal of that name. The result is ``{"principal", "credential"}``."""

    capability: ClassVar[str] = "tokens.manage"
    principal_name: str
    credential: UUID
    token_hash: bytes
    expires_at: datetime | None = None

    def finds(self) -> Iterable[Find]:
        """Who has the name."""
        return (Find(PRINCIPALS_BY_NAME, (self.principal_name,)),)

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """The principal."""
        return (f"principal-{number}" for found in answers for number in found.values())

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, InvalidCommandError."""
        number = unit.found(Find(PRINCIPALS_BY_NAME, (self.principal_name,))).get(self.principal_name)
        principal = None if number is None else unit.get(Principal, f"principal-{number}")
        if principal is None:
            raise NotFoundError(f"There is no principal {self.principal_name}.", name=self.principal_name)
        if self.expires_at is not None and self.expires_at <= unit.now:
            raise InvalidCommandError("The token would have expired already.", expires_at=self.expires_at)
        principal.trigger_event(
            Principal.TokenIssued, timestamp=unit.now, credential=str(self.credential), expires_at=self.expires_at
        )
        unit.affect(
            Effect("credential", (self.credential, number, "token", self.token_hash, unit.now, self.expires_at))
        )
        return {"principal": principal.id, "credential": str(self.credential)}
