"""What a server says on standard error."""

from __future__ import annotations

import json
import logging
import os
import sys

from jobledger.scripts.log_lines import JsonLines

TOKEN = "jl_acme_" + "x" * 43


def record(message: str, *arguments: object, **members: object) -> logging.LogRecord:
    """A record as the server's own code makes them."""
    made = logging.LogRecord("jobledger.http.problem", logging.ERROR, "here.py", 1, message, arguments, None)
    made.__dict__.update(members)
    return made


def test_a_record_is_one_line_whatever_is_in_it() -> None:
    """JSON, so that no client can make a line of its own."""
    line = JsonLines().format(record("Request %s\nfailed \x1b[31m ß", "a\r\nb"))

    assert "\n" not in line
    document = json.loads(line)
    assert list(document) == ["time", "level", "pid", "logger", "message"]
    assert (document["level"], document["pid"]) == ("ERROR", os.getpid())
    assert document["message"] == "Request a\r\nb\nfailed \x1b[31m ß"


def test_an_exception_is_in_its_record_and_no_token_is() -> None:
    try:
        raise ValueError(f"bad {TOKEN} ?token=secret")
    except ValueError:
        line = JsonLines().format(record("Token %s failed", TOKEN, exc_info=sys.exc_info()))

    document = json.loads(line)
    assert document["message"] == "Token jl_acme_… failed"
    assert document["exception"].startswith("Traceback")
    assert document["exception"].endswith("ValueError: bad jl_acme_… ?token=…")
