"""The ledger as this release's commands open it: here its projections are wired in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from jobledger.ledger.domain.command import Caller
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.observer import UNOBSERVED, AppendObserver
from jobledger.ledger.store.projection import CatchUpProjection, InlineProjection
from jobledger.projections.access import AccessProjection
from jobledger.projections.archives import ArchivedJobsProjection, ArchivesProjection
from jobledger.projections.copies import CopiesProjection
from jobledger.projections.diagrams import DiagramsProjection, TemplatesProjection
from jobledger.projections.domains import DomainsProjection
from jobledger.projections.holds import HoldsProjection
from jobledger.projections.job_copies import JobCopiesProjection
from jobledger.projections.job_history import JobHistoryProjection
from jobledger.projections.jobs import JobsProjection
from jobledger.projections.policy import PolicyProjection
from jobledger.projections.queues import QueuesProjection
from jobledger.projections.rollups import RollupsProjection
from jobledger.projections.schedules import SchedulesProjection
from jobledger.projections.work import WorkProjection
from jobledger.scripts.installation import open_installation
from jobledger.scripts.settings import Settings

CAPABILITIES = frozenset({"orgs.manage", "principals.manage", "tokens.manage", "jobs.register", "jobs.import"})


def command_line_caller(org: str) -> Caller:
    """Whoever may run commands on the server's own machine. One command line is one request."""
    return Caller(org=org, principal="ledger", capabilities=CAPABILITIES, via="command line", request=str(uuid4()))


def inline_projections() -> list[InlineProjection]:
    """The projections whose rows are written with the events."""
    kept = (JobsProjection(), JobCopiesProjection(), PolicyProjection(), HoldsProjection())
    known = (CopiesProjection(), AccessProjection(), DiagramsProjection(), TemplatesProjection())
    done: list[InlineProjection] = [
        SchedulesProjection(),
        WorkProjection(),
        ArchivesProjection(),
        ArchivedJobsProjection(),
    ]
    return [*kept, *known, *done, DomainsProjection(), QueuesProjection()]


def catch_up_projections() -> list[CatchUpProjection]:
    """The projections that follow the ledger."""
    return [RollupsProjection(), JobHistoryProjection()]


@asynccontextmanager
async def ledger_at(
    url: str, *, readers: int = 8, writers: int = 8, observer: AppendObserver = UNOBSERVED
) -> AsyncIterator[Ledger]:
    """The ledger in this database; on leaving, what is queued is answered first. Raises DatabaseIsAwayError."""
    database = Database(url, readers=readers, writers=writers)
    await database.open()
    try:
        ledger = Ledger(database, inline_projections(), observer, catch_up_projections())
        try:
            yield ledger
        finally:
            await ledger.close()
    finally:
        await database.close()


@asynccontextmanager
async def open_ledger(settings: Settings, *, may_begin: bool = False) -> AsyncIterator[Ledger]:
    """The ledger of the installation that the settings name. See ``open_installation``."""
    async with (
        open_installation(settings, may_begin=may_begin) as installation,
        ledger_at(installation.url, readers=2, writers=2) as ledger,
    ):
        yield ledger
