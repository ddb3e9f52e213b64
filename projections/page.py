"""Pages: what there is much of is read by parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

# Where all are read.
ROWS_A_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows as documents, and what to go on after; None at the end."""

    documents: Sequence[dict[str, Any]]
    next_after: int | None


async def every(page_after: Callable[[int], Awaitable[Page]]) -> AsyncIterator[dict[str, Any]]:
    """The documents of all pages, each asked for once the one before it is taken. Raises what asking raises."""
    after: int | None = 0
    while after is not None:
        page = await page_after(after)
        for document in page.documents:
            yield document
        after = page.next_after
