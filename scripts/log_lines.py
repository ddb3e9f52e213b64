"""What a server says on standard error: one JSON object a line, be it of a request or of anything else.

{"time":"2026-11-22T05:21:14.123Z","level":"WARNING","pid":4711,"logger":"jobledger.ledger.work.watch","message":"…","exception":"Traceback…"}
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from select import PIPE_BUF

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


class LineWriter:
    """Writes lines that are ones already, those of one turn of the event loop together."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        """Write a line, at the end of this turn at the latest."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Write all there are, each whole: other processes write to the same place."""
        lines, self._lines = self._lines, []
        together = b""
        # Whoever read our log may be gone, or its disk be full. Requests are served all the same.
        with suppress(OSError):
            for line in lines:
                if len(together) + len(line) > PIPE_BUF:
                    os.write(2, together)
                    together = b""
                together += line
            os.write(2, together)
