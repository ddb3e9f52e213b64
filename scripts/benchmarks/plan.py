"""How much each measurement does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes; a round is what is repeated, ours and the peer's in turn. ``round_s`` is in seconds."""

    rounds: int = 5
    swf: Path | None = None
    is_profiled: bool = False

    round_s: float = 2.5
    swf_jobs: int = 18_239
    registrations: int = 10_000
    commands: int = 50_000
    # Each job of the grown ledgers has EVENTS_A_JOB events.
    large_jobs: int = 1_000_000
    small_jobs: int = 10_000
    pages: int = 1_000
    memory_events: int = 1_000_000
    long_stream: int = 10_000
    samples: int = 200
    incrementals: int = 10_000
    schedules: int = 1_000
    firing_minutes: int = 3
    rebuilt_jobs: int = 200_000
    # Of the ledger of a million events, which is shared: see ``million``.
    ended_jobs: int = 200_000


def quick_plan(rounds: int, swf: Path | None, *, is_profiled: bool) -> Plan:
    """Enough to see that everything works, too little to believe the numbers."""
    return Plan(
        rounds=rounds,
        swf=swf,
        is_profiled=is_profiled,
        round_s=0.5,
        swf_jobs=2_000,
        registrations=2_000,
        commands=5_000,
        large_jobs=20_000,
        small_jobs=1_000,
        pages=100,
        memory_events=30_000,
        long_stream=1_000,
        samples=20,
        incrementals=1_000,
        schedules=100,
        firing_minutes=1,
        rebuilt_jobs=10_000,
        ended_jobs=10_000,
    )
