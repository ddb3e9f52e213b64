"""What members, parameters and ids of one kind or another cannot be."""

from typing import Any

NO_NUMBERS = [
    "0", "-1", "2147483648", "99999999999999999999", "9" * 5_000, "abc", "1.0", "+1", "%201", "%00", "%ff", "%D9%A3", "1e0",
]  # fmt: skip
WRONG_TEXT: list[Any] = [1, True, 1.5, [], {}, ["a"], ""]
WRONG_ID: list[Any] = [0, -1, 2**31, 10**18, 1.5, 1e3, "x", "", "1.0", " 1", "+1", "٣", True, [], {}, "9" * 21]
WRONG_TIME: list[Any] = [
    0, True, [], {}, "", "now", "2026-11-21", "2026-11-21T22:34:05", "2026-02-30T00:00:00Z", "2026-11-21T24:00:01Z",
    "2026-11-21T22:34:60Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1899-12-31T23:59:59Z", "2026-11-21T22:34:05+25:00",
    "2026-11-21T22:34:05Z ", "20261121T223405Z", "2026-W47-6T22:34:05Z", "２０２６-11-21T22:34:05Z",
    "2026-11-21T22:34:05.1234567890Z",
]  # fmt: skip
WRONG_TIMEOUT: list[Any] = [0, -1, 10**10, 1.5, "x", "", True, [], {}]
WRONG_NUMBER: list[Any] = [-1, 2**31, 1.5, "x", "", True, [], {}]
WRONG_BOOLEAN: list[Any] = [1, 0, "x", [], {}]
WRONG_JOB_IDS: list[Any] = [1, "x", True, {}, [0], ["x"], [None], [[1]], [1] * 10_001]
WRONG_OBJECT: list[Any] = [1, "x", True, [], 1.5]
WRONG_WORDS: list[Any] = ["x", 1, True, {}, [1], [None], [[]], [""], ["x"] * 1001]

# Empty texts say of these that there is none.
WRONG_DETAILS: dict[str, list[Any]] = {
    **{key: [*WRONG_TEXT[:-1], "x" * 10001] for key in ("description", "notes")},
    **{key: [it for it in WRONG_TIME if it != ""] for key in ("start_date", "due_date")},
    **{key: [*WRONG_TEXT[:-1], "x" * 201] for key in ("owned_by", "assigned_type", "assigned_to")},
    "parent_job_id": [it for it in WRONG_ID if it != ""],
}
WRONG_LOCATION: list[Any] = [
    *WRONG_OBJECT, {"geometryType": "Point"}, {"geometryType": 1, "geometry": "{}"}, {"geometryType": "P", "geometry": 1},
]  # fmt: skip
WRONG_PROPERTIES: list[Any] = [
    1, "x", True, {}, [1], [{}], [{"identifier": ""}], [{"identifier": 1}], [{"identifier": "a"}] * 1001,
]  # fmt: skip

WRONG_WORD = ["", "x" * 501, "%00"]
WRONG_DAY = ["", "today", "2026-13-01", "20261121", "2026-W47-6", "2026-11-21T00:00:00Z", "%00"]
WRONG_INSTANT = ["", "now", "2026-11-21", "2026-11-21T22:34:05", "2026-13-01T00:00:00Z", "9999-12-31T23:59:59Z", "%00"]
WRONG_POSITION: list[Any] = [-1, 1.5, "x", "", True, [], {}, 2**63]
WRONG_EXPORT: dict[str, list[Any]] = {
    **dict.fromkeys(("from_position", "to_position"), WRONG_POSITION),
    "checkpoint": [0, *WRONG_POSITION],
    **{f"recorded_{end}": WRONG_TIME for end in ("from", "to")},
    "private": WRONG_BOOLEAN,
    "attachments": WRONG_BOOLEAN,
    "render": [*WRONG_TEXT, "pdf", "CSV"],
}
