"""What a server says on standard error: one JSON object a line, be it of a request or of anything else.

{"time":"2026-11-22T05:21:14.123Z","level":"WARNING","pid":4711,"logger":"jobledger.ledger.work.watch","message":"…","exception":"Traceback…"}
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime

import orjson

from jobledger.http.request_log import without_secrets


class JsonLines(logging.Formatter):
    """Makes a record one line. What looks like a token is blotted out, whoever put it there."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        instant = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": instant.replace("+00:00", "Z"),
            "level": record.levelname,
            "pid": os.getpid(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = without_secrets(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


def log_as_json_lines() -> None:
    """Let everything that is logged from here on, at INFO and above, be such lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def write_line(line: bytes) -> None:
    """Write a line that is one already, whole: other processes write to the same place."""
    # Whoever read our log may be gone, or its disk be full. Requests are served all the same.
    with suppress(OSError):
        os.write(2, line)
