"""``jobledger rebuild``: the rows of projections made anew from the events, compared with the live ones and put in their place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobledger.projections.principal_query import PrincipalQuery
from jobledger.projections.rebuild.course import Rebuild
from jobledger.projections.rebuild.report import Report
from jobledger.projections.rebuild.streams import Folded
from jobledger.scripts.failure import UsageError
from jobledger.scripts.folding import fold_in_processes
from jobledger.scripts.opening import open_ledger
from jobledger.scripts.settings import Settings


async def rebuild(settings: Settings, org: str | None, projection: str | None) -> int:
    """Rebuild a projection, or all, of an org, or of all; 1 if rows differed: there nothing was put in place."""
    code = 0
    async with open_ledger(settings) as ledger:
        known = [it.name for it in (*ledger.projections, *ledger.catch_up_projections)]
        if projection is not None and projection not in known:
            raise UsageError(f"There is no projection {projection}. There are {', '.join(known)}.")
        names = None if projection is None else [projection]
        orgs = [org] if org is not None else [name for name, *_ in await PrincipalQuery(ledger.database).orgs()]
        for name in orgs:
            with _progress_bar(name) as show:
                report = await Rebuild(ledger, fold_in_processes(ledger), show).rebuild(name, names)
            print("\n".join(told(report)), flush=True)
            if report.differences:
                code = 1
    return code


def told(report: Report) -> Iterator[str]:
    """What became of a rebuild, by lines."""
    rate = report.events / max(report.took_s, 0.001)
    events = f"{report.events} events in {report.took_s:.2f} s, {rate:.0f} events/s"
    if report.differences:
        yield f"{report.org}: nothing was put in place: the live rows are not what the events make ({events})."
        for it in report.differences:
            yield f"  {it.table}: {it.count} {'keys' if it.count > 1 else 'key'}"
            for key, columns in it.columns.items():
                yield f"    {key}: {', '.join(columns)}"
        return
    held = f"writers waited {1000 * report.last_step_s:.0f} ms"
    yield f"{report.org}: rebuilt up to position {report.position - 1}: {events}; in the last step {held}."
    for made in report.projections:
        how = (
            "as the live rows were"
            if made.is_compared
            else f"fold {made.fold_version}, of which there were no live rows"
        )
        yield f"  {made.name}: generation {made.generation}, {how}"
        for table, hashed in made.tables.items():
            yield f"    {table}: {hashed.rows} rows, hash {hashed.hash:016x}"


@contextmanager
def _progress_bar(org: str) -> Iterator[Callable[[Folded, int], None]]:
    """What shows how far the folding is: a bar, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _folded, _events: None
        return
    from tqdm import tqdm

    with tqdm(desc=org, unit=" events", unit_scale=True) as bar:

        def show(folded: Folded, events: int) -> None:
            bar.total = max(events, folded.events)
            bar.update(folded.events - bar.n)

        yield show
