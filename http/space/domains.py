"""The numbers that domains are known by: Global is 65537, the others follow by when a job was first registered in each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aiohttp import web

from jobledger.http.context import DOMAINS
from jobledger.http.space.expressions import read_domain_context
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.job import DEFAULT_DOMAIN
from jobledger.ledger.errors import InvalidCommandError

GLOBAL_ID = 65537


@dataclass(frozen=True, slots=True)
class DomainNumbers:
    """The domains of an org by their numbers."""

    names: tuple[str, ...]

    @classmethod
    async def of(cls, request: web.Request, org: str) -> DomainNumbers:
        """As the ledger has them. Raises DatabaseIsAwayError."""
        return cls((DEFAULT_DOMAIN, *await request.app[DOMAINS].numbered(org)))

    def number(self, name: str) -> int | None:
        """The domain's number; None of one that no job was ever in."""
        return GLOBAL_ID + self.names.index(name) if name in self.names else None

    def name(self, number: int) -> str | None:
        """The domain with that number."""
        place = number - GLOBAL_ID
        return self.names[place] if 0 <= place < len(self.names) else None


async def chosen_domain(request: web.Request, caller: Caller, context: str | None) -> str | None:
    """The domain that ``domainContext`` picks, None for none. Raises InvalidCommandError for one that the caller does not see."""
    if context is None:
        return None
    number = read_domain_context(context)
    name = (await DomainNumbers.of(request, caller.org)).name(number)
    if name is None or not caller.sees(name):
        raise InvalidCommandError(f"There is no domain {number}.", parameter="domainContext")
    return name


def within(caller: Caller, domain: str | None) -> Caller:
    """The caller as one who sees that domain alone; None: as it is."""
    return caller if domain is None else replace(caller, domains=frozenset({domain}))
