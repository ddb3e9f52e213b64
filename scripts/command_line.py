"""The command line: ``jobledger``. What each command needs is imported when it runs, so that this answers at once."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jobledger.scripts.access_command_line import add_access_commands
from jobledger.scripts.backup_command_line import add_backup_commands
from jobledger.scripts.command_parts import finish, noun, run, verb
from jobledger.scripts.failure import UsageError, sentence_of
from jobledger.scripts.settings import Settings

SUCCESS, FAILURE, USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; its exit code: 0, 1 the thing failed, 2 usage."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options, Settings.read(os.environ, options.data))
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("jobledger: interrupted.", file=sys.stderr)
        return FAILURE
    except BrokenPipeError:
        # Whoever read our output has read enough; nothing is left that could be said to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        print(f"jobledger: {sentence}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILURE
    return code


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.serve import ServeOptions, serve

    return run(
        serve(
            settings,
            ServeOptions(options.host, options.port, options.workers, is_behind_proxy=options.behind_proxy),
        )
    )


def _add_org(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.org import add_org

    return run(add_org(settings, options.name))


def _list_orgs(_options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.org import list_orgs

    return run(list_orgs(settings))


def _load_swf(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.load import load_swf

    return run(load_swf(settings, options.file, options.org))


def _replay(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.replay import read_limit, replay, replay_archive

    limit = None if options.to is None else read_limit(options.to)
    if options.archive is not None:
        return run(replay_archive(options.archive, job_id=options.job, to=limit, as_json=options.json))
    return run(replay(settings, options.org, job_id=options.job, to=limit, as_json=options.json))


def _rebuild(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.rebuild import rebuild

    return run(rebuild(settings, options.org, options.projection))


def _verify(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.verify_ledger import verify_ledger

    return run(verify_ledger(settings, options.org, options.checkpoint))


def _export(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.export import export, read_ends

    order = read_ends(options.begin, options.end)
    members = {"job_ids": options.job, "type": options.type, "domain": options.domain, "render": options.render}
    order |= {**members, "private": options.private, "checkpoint": options.checkpoint}
    order["attachments"] = options.attachments or None
    return run(export(settings, options.org, order, options.output))


def _recover(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.recover import recover

    return run(recover(settings, options.org, options.reason))


def _witness(options: argparse.Namespace, _settings: Settings) -> int:
    from jobledger.scripts.witness_log import WitnessOrder, witness_log

    order = WitnessOrder(
        options.source,
        options.name,
        options.key,
        tuple(options.log_key),
        options.seen,
        token_file=options.token_file,
        attaches=options.attach,
    )
    return run(witness_log(order))


def _rotate_key(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.signing_key import rotate_key

    return run(rotate_key(settings, options.org))


def _show_key(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.signing_key import show_keys

    return run(show_keys(settings, options.org, shows_all=options.all))


def _migrate(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.database import migrate_database

    return run(migrate_database(settings))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jobledger",
        description="The system of record for jobs.",
        epilog="Exit codes: 0, 1 the thing failed, 2 usage. Settings are read from the environment, JOBLEDGER_….",
    )
    parser.add_argument("--version", action="version", version=f"Job Ledger {version('jobledger')}")
    nouns = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(nouns)

    orgs = noun(nouns, "org", "orgs")
    verb(orgs, "add", _add_org, "begin an org's ledger").add_argument("name", metavar="NAME")
    verb(orgs, "list", _list_orgs, "print each org, how many events it has, and when the last was recorded")
    add_access_commands(nouns)

    load = verb(noun(nouns, "load", "bring in what others recorded"), "swf", _load_swf, "load a workload log")
    load.description = "Register every job of a log in the Standard Workload Format, as it is or compressed by gzip."
    load.add_argument("file", metavar="FILE", type=Path)
    load.add_argument("--org", required=True)

    replay = nouns.add_parser("replay", help="print each event and the state after it", description=_REPLAY)
    source = replay.add_mutually_exclusive_group(required=True)
    source.add_argument("--org", help="the events of this org")
    source.add_argument(
        "--from",
        type=Path,
        dest="archive",
        metavar="FILE",
        help="those of the archive of this file; no database is asked",
    )
    replay.add_argument("--job", type=_natural, metavar="N", help="the events of this job only")
    replay.add_argument("--to", metavar="POSITION|TIME", help="the last position, or an RFC 3339 time")
    replay.add_argument("--json", action="store_true", help="one JSON object a line")
    finish(replay, _replay)

    rebuild = nouns.add_parser("rebuild", help="make what is read anew from the events", description=_REBUILD)
    rebuild.add_argument("--org", help="of this org only")
    rebuild.add_argument("--projection", metavar="NAME", help="this projection only")
    finish(rebuild, _rebuild)

    _add_evidence(nouns)
    _add_archives(nouns)
    add_backup_commands(nouns)
    verb(noun(nouns, "db", "the database"), "migrate", _migrate, "bring the database to this release's schema")
    return parser


_REBUILD = (
    "Make the rows of projections from the events beside those that are live, compare them, and put them in their place. "
    "Servers go on meanwhile. Where rows differ nothing changes."
)
_REPLAY = "Fold the events, and nothing else, and print each with the state that it leads to."


def _add_evidence(nouns: Any) -> None:
    verify = nouns.add_parser("verify", help="check that nothing was altered", description=_VERIFY)
    verify.add_argument("--org", help="of this org only")
    verify.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="a checkpoint that was kept: it must still stand"
    )
    finish(verify, _verify)

    _add_export(nouns)
    recover = nouns.add_parser("recover", help="go on after a history was lost", description=_RECOVER)
    recover.add_argument("--org", required=True)
    recover.add_argument("--reason", required=True, help="what happened; it is recorded")
    finish(recover, _recover)

    witness = nouns.add_parser("witness", help="countersign another ledger's checkpoints", description=_WITNESS)
    witness.add_argument("source", metavar="URL|FOLDER", help="what lies before /checkpoint and /tile")
    witness.add_argument("--name", required=True, help="the witness's, like witness.example/audit")
    witness.add_argument("--key", type=Path, required=True, metavar="FILE", help="its key; made where it is not there")
    witness.add_argument(
        "--log-key",
        action="append",
        required=True,
        metavar="KEY",
        help="the verifier key of the ledger; any of several",
    )
    witness.add_argument("--seen", type=Path, required=True, metavar="FILE", help="what it countersigned last")
    witness.add_argument("--token-file", type=Path, metavar="FILE", help="a token for the URL")
    witness.add_argument("--attach", action="store_true", help="give the ledger the cosignature, too")
    finish(witness, _witness)

    keys = noun(nouns, "key", "the keys that sign")
    show = verb(keys, "show", _show_key, "print by which key each org's newest checkpoint is signed")
    show.add_argument("--org")
    show.add_argument("--all", action="store_true", help="the keys before, too: from which position each signs")
    verb(keys, "rotate", _rotate_key, "sign by a new key from now on").add_argument("--org")


def _add_export(nouns: Any) -> None:
    export = nouns.add_parser("export", help="write events with what proves them", description=_EXPORT)
    export.add_argument("output", metavar="OUTPUT", type=Path, help="a .zip, or a folder that is made")
    export.add_argument("--org", required=True)
    export.add_argument("--from", dest="begin", metavar="POSITION|TIME", help="the first event")
    export.add_argument("--to", dest="end", metavar="POSITION|TIME", help="the event before which it ends")
    export.add_argument(
        "--job", type=_natural, metavar="N", action="append", help="the contents of this job; repeatable"
    )
    export.add_argument("--type", help="the contents of jobs of this type")
    export.add_argument("--domain", help="the contents of jobs of this domain")
    export.add_argument("--private", action="store_true", help="private contents too")
    export.add_argument("--attachments", action="store_true", help="what is attached to the jobs, too, as files")
    export.add_argument("--render", choices=("csv", "xml"), help="what is selected also in this form")
    export.add_argument("--checkpoint", type=_natural, metavar="SIZE", help="by the checkpoint of so many events")
    finish(export, _export)


_EXPORT = (
    "Write every header of a range, the contents of what is selected (all, where nothing is), and what proves them, with "
    "the program that checks it: python3 verify.py OUTPUT --key KEY. It works beside a running server, and without one."
)
_VERIFY = (
    "Read every event, tile, checkpoint and attachment of an org, or of all, in the database and the witness, and say what differs "
    "first. Servers go on meanwhile."
)
_WITNESS = (
    "Read another ledger's newest checkpoint, check that it continues the one that was countersigned last, keep it, and print it "
    "with the cosignature."
)
_RECOVER = (
    "Where the ledger is not the one that was shown, its writing has stopped. This records it, and goes on with what is there "
    "under another origin: see docs/evidence.md before."
)


def _list_archives(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.archive import list_archives

    return run(list_archives(settings, options.org))


def _show_archive(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.archive import show_archive

    return run(show_archive(settings, options.org, options.id))


def _verify_archive(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.archive import verify_archive

    return verify_archive(settings, options.file, options.key)


def _add_archives(nouns: Any) -> None:
    archives = noun(nouns, "archive", "archives")
    verb(archives, "list", _list_archives, "print each archive of an org").add_argument("--org", required=True)
    show = verb(archives, "show", _show_archive, "print what is known of an archive")
    show.add_argument("id", metavar="ID", type=_natural)
    show.add_argument("--org", required=True)
    verify = verb(archives, "verify", _verify_archive, "check an archive's files, without a database")
    verify.description = "Read an archive's files back: contents, headers, and by its proof the signed checkpoint."
    verify.add_argument("file", metavar="FILE", type=Path, help="one of the files; the others lie beside it")
    verify.add_argument(
        "--key", help="the verifier key (jobledger key show), or a file with some; absent: the data folder's own keys"
    )


def _add_serve(nouns: Any) -> None:
    serve = nouns.add_parser("serve", help="serve the ledger", description="Serve the ledger until SIGINT or SIGTERM.")
    serve.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=_port, default=8080, help="the port to listen on (8080); 0: any that is free")
    serve.add_argument("--workers", type=_worker_count, default=1, metavar="N", help="how many processes serve (1)")
    serve.add_argument("--behind-proxy", action="store_true", help="a proxy in front has TLS: serve any host without")
    finish(serve, _serve)


def _natural(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 10 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a job's number")
    return int(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _worker_count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:4]) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of workers from 1 to 64")
    return int(text)
