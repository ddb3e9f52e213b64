"""A job as the fetches dialect shows it.

{"id":7,"url":"http://host/api/jobs/7/","job_start":"2026-11-21T22:34:05Z","job_end":null,"range_start":null,"range_end":null,
 "scheduled":"2026-11-21T22:34:05Z","progress":0.5,"duration":"3s","state":1,"state_label":"Running","state_color":"orange",
 "manual":false,"issues":[],"datastream":{"id":3,"name":"Ad spend","slug":"ad-spend","url":"http://host/api/datastreams/3/"},
 "stage":"fetch","discard_reason":null}
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from jobledger.http.fetches.times import read_end, read_start, shown_duration, shown_time
from jobledger.ledger.domain.job import State


class Shown(NamedTuple):
    """A state as this dialect knows it."""

    number: int
    label: str
    color: str


STATES = {
    State.SCHEDULED: Shown(0, "Scheduled", "gray"),
    State.RUNNING: Shown(1, "Running", "orange"),
    State.SUCCESS: Shown(2, "Success", "green"),
    State.CANCELLED: Shown(3, "Cancelled", "blue"),
    State.FAILED: Shown(4, "Failed", "red"),
    State.DISCARDED: Shown(5, "Discarded", "black"),
    State.STALE: Shown(6, "Stale", "purple"),
}
FIGURES = ("rows", "bytes", "extracts")


def job_url(base: str, job_id: int) -> str:
    """Where the job is."""
    return f"{base}/api/jobs/{job_id}/"


def shown_job(job: Mapping[str, Any], base: str, now: datetime) -> dict[str, Any]:
    """The document of *job*, which is as the native API shows it; URLs begin with *base*, a running job lasts until *now*."""
    state = STATES[job["state"]]
    started, ended = _moment(job["started_at"]), _moment(job["ended_at"])
    scheduled = _moment(job["scheduled_at"]) or _moment(job["registered_at"])
    lasted = 0 if started is None else int(((ended or now) - started).total_seconds())
    attributes = job["attributes"] or {}
    return {
        "id": job["id"],
        "url": job_url(base, job["id"]),
        "job_start": _shown(started),
        "job_end": _shown(ended),
        "range_start": _range_time(attributes.get("range_start"), is_end=False),
        "range_end": _range_time(attributes.get("range_end"), is_end=True),
        "scheduled": _shown(scheduled),
        "progress": shown_progress(job["progress"]),
        "duration": shown_duration(lasted),
        "state": state.number,
        "state_label": state.label,
        "state_color": state.color,
        "manual": _is_manual(attributes.get("manual")),
        "issues": [job["reason"]] if job["state"] == State.FAILED and job["reason"] else [],
        "datastream": None if job["datastream"] is None else shown_datastream(job["datastream"], base),
        "stage": job["stage"],
        "discard_reason": job["reason"] if job["state"] == State.DISCARDED else None,
    }


def shown_import(job: Mapping[str, Any], base: str) -> dict[str, Any]:
    """How far the job is: the last figures that it reported, null for those that it never did."""
    state = STATES[job["state"]]
    figures = job["figures"] or {}
    return {
        "id": job["id"],
        "url": job_url(base, job["id"]),
        "state": state.number,
        "state_label": state.label,
        "stage": job["stage"],
        "progress": shown_progress(job["progress"]),
        "started": _shown(_moment(job["started_at"])),
        "updated": _shown(_moment(job["updated_at"])),
        "imported": {name: figures.get(name) for name in FIGURES},
        "message": job["message"],
    }


def shown_datastream(datastream: Mapping[str, Any], base: str) -> dict[str, Any]:
    """A job's datastream; ``name`` is null where the job gave none."""
    name = datastream.get("name")
    return {
        "id": datastream["id"],
        "name": name,
        "slug": slug(str(datastream["id"] if name is None else name)),
        "url": f"{base}/api/datastreams/{quote(str(datastream['id']), safe='')}/",
    }


def slug(name: str) -> str:
    """``Ad spend (Köln)`` as ``ad-spend-koln``: letters, digits and underscores of ASCII, hyphens between."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain)).strip("-_")


def shown_progress(progress: float) -> int | float:
    """0 and 1 as integers, fractions as they are."""
    return int(progress) if progress in (0, 1) else progress


def _moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _shown(moment: datetime | None) -> str | None:
    return None if moment is None else shown_time(moment)


def _is_manual(value: Any) -> bool:
    """What the job's attributes say of it; whoever registered it in XML could only say it as a text."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _range_time(value: Any, *, is_end: bool) -> str | None:
    """What the job's attributes say of its range; null for what is no time: whoever registered it may have meant another."""
    try:
        return shown_time(read_end(value).last if is_end else read_start(value))
    except ValueError:
        return None
