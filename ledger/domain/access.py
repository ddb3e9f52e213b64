"""Orgs and principals: who may do what, every grant an event."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from jobledger.ledger.domain.aggregate import USUAL_WEIGHT_BYTES, Aggregate
from jobledger.ledger.domain.command import Command, UnitOfWork
from jobledger.ledger.domain.policy import NO_POLICY, Policy
from jobledger.ledger.errors import InvalidCommandError, NameIsTakenError

# First segments of the paths that the server itself or a dialect answers; an org of that name could not be told from them.
RESERVED_ORG_NAMES = frozenset(
    {"api", "ledger", "aggregates", "webconsole", "commandcenter", "console", "healthz", "readyz", "metrics", "docs"}
    | {"workflow", "info", "rest", "sharing", "mainui", "static"}
)
ORG_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
ORG_STREAM = "org"

CAPABILITIES_BY_ROLE: dict[str, frozenset[str]] = {
    role: frozenset(capabilities.split())
    for role, capabilities in {
        "auditor": "jobs.read events.read access.read schedules.read exports.create checkpoints.attest metrics.read",
        "client": "jobs.read events.read jobs.register jobs.update jobs.cancel jobs.stop queues.use",
        "operator": "jobs.read events.read jobs.register jobs.update jobs.cancel jobs.stop queues.use jobs.close jobs.reopen"
        " jobs.upgrade jobs.delete jobs.retain jobs.copy jobs.purge jobs.import schedules.read schedules.manage"
        " diagrams.manage",
        "compliance": "jobs.read events.read access.read schedules.read holds.manage policy.manage jobs.purge jobs.erase"
        " jobs.retain exports.create checkpoints.attest",
        "admin": "jobs.read events.read access.read jobs.register jobs.update jobs.cancel jobs.stop queues.use queues.manage"
        " jobs.close jobs.reopen jobs.upgrade jobs.delete jobs.retain jobs.copy jobs.import schedules.read schedules.manage"
        " diagrams.manage principals.manage tokens.manage settings.manage exports.create metrics.read"
        " checkpoints.attest",
    }.items()
}


CAPABILITIES = frozenset[str]().union(*CAPABILITIES_BY_ROLE.values())
# What the vendors of the dialects call some of them.
CAPABILITY_BY_ALIAS = {
    "PurgeJobs": "jobs.purge",
    "JobMgr": "jobs.read",
    "DefaultRead": "jobs.read",
    "CancelJob": "jobs.cancel",
    "jobClose": "jobs.close",
    "jobReopenClosed": "jobs.reopen",
    "jobUpgrade": "jobs.upgrade",
    "jobDelete": "jobs.delete",
}
MANAGE_PRINCIPALS = "principals.manage"
# Of whoever has just proved to be a principal by its password, for that moment: it is of no role.
LOGGED_IN = "login.just_now"


def capabilities_of(roles: Iterable[str], capabilities: Iterable[str] = ()) -> frozenset[str]:
    """What principals with these roles, and capabilities beyond them, may do."""
    return frozenset(capabilities).union(*(CAPABILITIES_BY_ROLE[role] for role in roles))


def known_roles(names: Iterable[str]) -> list[str]:
    """The roles, each once. Raises InvalidCommandError."""
    for role in names:
        if role not in CAPABILITIES_BY_ROLE:
            raise InvalidCommandError(f"There is no role {role}.", role=role, roles=sorted(CAPABILITIES_BY_ROLE))
    return list(dict.fromkeys(names))


def known_capabilities(names: Iterable[str]) -> list[str]:
    """The capabilities under their own names, each once; a vendor's name counts as well. Raises InvalidCommandError."""
    own_names = [CAPABILITY_BY_ALIAS.get(name, name) for name in names]
    for capability in own_names:
        if capability not in CAPABILITIES:
            raise InvalidCommandError(f"There is no capability {capability}.", capability=capability)
    return list(dict.fromkeys(own_names))


def principal_stream(number: int) -> str:
    """The stream of a principal."""
    return f"principal-{number}"


def must_be_org_name(name: str) -> None:
    """Raise InvalidCommandError unless an org may be named so."""
    if not ORG_NAME.fullmatch(name) or name in RESERVED_ORG_NAMES:
        raise InvalidCommandError(
            "An org's name is 1 to 41 of a-z, 0-9 and -, begins with a letter, and is not a reserved word.", name=name
        )


class Org(Aggregate):
    """A tenant, from its first event on.

    ``fork`` counts its ledger's histories; ``public_key`` (hex) is that of the key that signs, None before that was ever changed.
    """

    name: str
    policy: Policy = NO_POLICY
    fork: int = 1
    public_key: str | None = None

    class Event(Aggregate.Event):
        """Base of an org's events."""

    class Created(Event, Aggregate.Created):
        """The org's ledger began."""

        type_name: ClassVar[str] = "org.created"
        name: str

        def apply(self, aggregate: Org) -> None:
            """Begin."""
            aggregate.name = self.name


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was issued and not revoked since. ``version`` is its event's, ``is_login`` says that a login issued it."""

    version: int
    issued_at: datetime
    expires_at: datetime | None
    is_login: bool
    label: str | None

    def is_alive(self, now: datetime) -> bool:
        """Whether it lets its principal in at *now*."""
        return self.expires_at is None or self.expires_at > now


class Principal(Aggregate):
    """Somebody, or something, that may act in an org.

    ``capabilities`` are those beyond its roles', ``domains`` those it may see, None for all. ``password`` is the id of the
    password's credential, ``tokens`` are by their credentials' ids, in the order of issue; those that expired may be missing.
    """

    decides_access: ClassVar[bool] = True

    principal_id: int
    name: str
    roles: list[str]
    capabilities: list[str]
    home_domain: str
    domains: list[str] | None
    is_disabled: bool
    password: str | None
    tokens: dict[str, Token]

    @property
    def granted(self) -> frozenset[str]:
        """All that it may do while it is not disabled."""
        return capabilities_of(self.roles, self.capabilities)

    def is_let_in(self, now: datetime, credential: str | None) -> bool:
        """Whether it is not disabled and, where one is told, its credential counts at *now*."""
        if self.is_disabled:
            return False
        token = None if credential is None else self.tokens.get(credential)
        return credential is None or credential == self.password or (token is not None and token.is_alive(now))

    @property
    def is_administrator(self) -> bool:
        """Whether it can come in, for as long as nothing is changed, and may manage principals: who sees some domains may not."""
        return self.domains is None and self.has_standing_to_manage

    @property
    def has_standing_to_manage(self) -> bool:
        """Whether it would be an administrator if it saw all domains. It is what its row tells."""
        has_way_in = self.password is not None or any(it.expires_at is None for it in self.tokens.values())
        return has_way_in and not self.is_disabled and MANAGE_PRINCIPALS in self.granted

    @property
    def weight_bytes(self) -> int:
        """See ``Aggregate``."""
        return USUAL_WEIGHT_BYTES + 400 * len(self.tokens)

    class Event(Aggregate.Event):
        """Base of a principal's events."""

    class Added(Event, Aggregate.Created):
        """The principal became known. ``domains`` absent: all of them."""

        type_name: ClassVar[str] = "principal.added"
        name: str
        roles: list[str]
        home_domain: str
        domains: list[str] | None = None
        capabilities: list[str] | None = None

        def apply(self, aggregate: Principal) -> None:
            """Begin."""
            aggregate.principal_id = int(self.originator_id.removeprefix("principal-"))
            aggregate.name = self.name
            aggregate.roles = self.roles
            aggregate.capabilities = self.capabilities or []
            aggregate.home_domain = self.home_domain
            aggregate.domains = self.domains
            aggregate.is_disabled = False
            aggregate.password = None
            aggregate.tokens = {}

    class Granted(Event):
        """What the principal may do and see from now on, whole. ``domains`` absent: all of them."""

        type_name: ClassVar[str] = "principal.granted"
        roles: list[str]
        capabilities: list[str]
        home_domain: str
        domains: list[str] | None = None

        def apply(self, aggregate: Principal) -> None:
            """It takes the place of what was granted before."""
            aggregate.roles = self.roles
            aggregate.capabilities = self.capabilities
            aggregate.home_domain = self.home_domain
            aggregate.domains = self.domains

    class Disabled(Event):
        """Nothing lets the principal in until it is enabled."""

        type_name: ClassVar[str] = "principal.disabled"
        reason: str | None = None

        def apply(self, aggregate: Principal) -> None:
            """Password and tokens stay, and let nobody in."""
            aggregate.is_disabled = True

    class Enabled(Event):
        """What let the principal in before lets it in again."""

        type_name: ClassVar[str] = "principal.enabled"
        reason: str | None = None

        def apply(self, aggregate: Principal) -> None:
            """Password and tokens hold again."""
            aggregate.is_disabled = False

    class PasswordSet(Event):
        """The principal's password was set; only its credential's id is told."""

        type_name: ClassVar[str] = "principal.password_set"
        credential: str

        def apply(self, aggregate: Principal) -> None:
            """The hash is kept beside the ledger."""
            aggregate.password = self.credential

    class PasswordRemoved(Event):
        """The principal has no password any more."""

        type_name: ClassVar[str] = "principal.password_removed"

        def apply(self, aggregate: Principal) -> None:
            """The hash goes in the same append."""
            aggregate.password = None

    class TokenIssued(Event):
        """A token was issued; only its credential's id is told."""

        type_name: ClassVar[str] = "token.issued"
        times: ClassVar[tuple[str, ...]] = ("expires_at",)
        credential: str
        expires_at: datetime | None = None
        is_login: bool | None = None
        label: str | None = None

        def apply(self, aggregate: Principal) -> None:
            """The hash is kept beside the ledger. Those that have expired by now are forgotten."""
            issued = Token(self.originator_version, self.timestamp, self.expires_at, bool(self.is_login), self.label)
            alive = {name: it for name, it in aggregate.tokens.items() if it.is_alive(self.timestamp)}
            aggregate.tokens = {**alive, self.credential: issued}

    class TokenRevoked(Event):
        """A token lets nobody in any more."""

        type_name: ClassVar[str] = "token.revoked"
        credential: str
        reason: str | None = None

        def apply(self, aggregate: Principal) -> None:
            """The hash goes in the same append."""
            aggregate.tokens = {name: it for name, it in aggregate.tokens.items() if name != self.credential}


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
