"""What the commands of the command line are made of: a noun, its verbs, and how one is run."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias

from jobledger.scripts.settings import Settings

SUCCESS = 0

Run: TypeAlias = Callable[[argparse.Namespace, Settings], int]


def run(coroutine: Coroutine[Any, Any, int | None]) -> int:
    """The exit code of a command that needs an event loop."""
    import uvloop

    return uvloop.run(coroutine) or SUCCESS


def noun(nouns: Any, name: str, help_text: str) -> Any:
    """Add a noun; what its verbs are added to."""
    return nouns.add_parser(name, help=help_text).add_subparsers(metavar="VERB", required=True)


def verb(verbs: Any, name: str, run_it: Run, help_text: str) -> argparse.ArgumentParser:
    """Add a verb of a noun."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=help_text)
    finish(parser, run_it)
    return parser


def finish(parser: argparse.ArgumentParser, run_it: Run) -> None:
    """Give a command what all have: the data folder, and what runs it."""
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="the data folder (JOBLEDGER_DATA, ./jobledger-data)"
    )
    parser.set_defaults(run=run_it)
