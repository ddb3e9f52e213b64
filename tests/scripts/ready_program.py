"""The program ``jobledger``, ready to run: what it imports is imported once, and each run is a process forked from that.

Reads requests as lines of JSON, ``{"arguments":[…],"environment":{…},"files":["in","out","error"]}``, and answers each with a line
that holds the exit code.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NoReturn

import jobledger.scripts
from jobledger.scripts.command_line import main


def serve() -> None:
    """Run what is asked for until standard input ends."""
    for module in iter_modules(jobledger.scripts.__path__, "jobledger.scripts."):
        import_module(module.name)
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            run(request)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def run(request: dict[str, Any]) -> NoReturn:
    """Be the program, as its console script is, and end."""
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, path in enumerate(request["files"]):
        opened = os.open(path, os.O_RDWR | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(it, mode) for it, mode in enumerate("rww"))
    sys.argv = ["jobledger", *request["arguments"]]
    code: Any = 1
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if code is None else int(code))


if __name__ == "__main__":
    serve()
