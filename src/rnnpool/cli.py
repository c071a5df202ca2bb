"""The command line: a table of verbs, one module each in ``rnnpool.commands``.

A verb's module has ``add_arguments(parser)`` and ``run(args) -> int`` and is imported only when its verb is asked for,
so ``rnnpool --help`` costs no import of torch and a missing extra matters to the verb that needs it alone.

Exit status: 0 all done, 1 some input was skipped (named on stderr), 2 nothing could be done (one line says why),
130 interrupted, 141 the reader of our output went away.
"""

import argparse
import codecs
import difflib
import importlib
import io
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from rnnpool import __version__
from rnnpool.errors import InputError

VERBS = {
    "demo": "find the faces in two well-known photos",
    "detect": "find the faces in your photos",
    "classify": "say what is in your photos",
    "models": "list the networks there are",
    "profile": "a network's parameters, multiply-adds and memory",
    "suggest": "find the RNNPool that lowers a network's peak most",
    "tables": "compute the paper's tables of costs anew, beside its own",
    "sweep": "try sizes of RNNPool: multiply-adds against memory",
    "train": "train a network from a recipe",
    "evaluate": "measure a network's accuracy on a data set",
    "experiment": "train all contenders of a comparison, write its table",
    "shards": "pack folders of pictures into tar files to train from",
    "vww": "make the Visual Wake Words data set from COCO",
    "quantize": "turn a trained network into integers",
    "compile": "write an integer network as C that streams rows",
    "firmware": "run a compiled network on an emulated Cortex-M4",
    "web": "write a page that runs a compiled network in a browser",
}

WELCOME = f"""\
rnnpool {__version__}: accurate computer vision in tens of kilobytes of RAM.

Where to begin:
  rnnpool demo                         find the faces in two well-known photos
  rnnpool detect PHOTO --out found     find them in yours, draw them into the folder found/
  rnnpool models                       see which networks there are

rnnpool --help lists every verb, rnnpool VERB --help explains one.
"""

EPILOG = """\
examples:
  rnnpool detect holiday.jpg --out found --json faces.json
  rnnpool profile face-tiny
  rnnpool train --help
"""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line, like every other error of the package."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} ({self.prog} --help explains)")


class _VerbsHelp(argparse.RawDescriptionHelpFormatter):
    """argparse measures a verb without its indentation, and breaks the line behind the longest."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        self._action_max_length += self._indent_increment


def _main_parser() -> argparse.ArgumentParser:
    """What ``rnnpool --help`` shows; the verbs' own arguments belong to parsers of their own."""
    parser = _Parser(
        prog="rnnpool",
        description="Accurate computer vision in tens of kilobytes of RAM.",
        epilog=EPILOG,
        formatter_class=_VerbsHelp,
    )
    parser.add_argument("--version", action="version", version=f"rnnpool {__version__}")
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB")
    for name, summary in VERBS.items():
        verbs.add_parser(name, help=summary)
    return parser


def verb_parser(verb: str) -> argparse.ArgumentParser:
    """What ``rnnpool VERB --help`` shows, and what its arguments are parsed by."""
    summary = VERBS[verb]
    parser = _Parser(
        prog=f"rnnpool {verb}",
        description=summary[0].upper() + summary[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _command(verb).add_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb (``argv`` without the program's name; default ``sys.argv[1:]``) and return its exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    _accept_any_text()
    try:
        verb = argv[0] if argv and not argv[0].startswith("-") else None
        if verb is not None and verb not in VERBS:
            raise InputError(f"no verb {verb!r}{_closest(verb)} (rnnpool --help lists them)")
        status = _run(verb, argv)
        print(end="", flush=True)  # a reader that went away shows here rather than in the interpreter's last breath
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except SystemExit as done:
        if not isinstance(done.__context__, BrokenPipeError):
            raise
        return 141  # rich, which draws tables, has seen it first and silenced stdout
    except KeyboardInterrupt:
        print("rnnpool: interrupted", file=sys.stderr)
        return 130
    except (InputError, OSError) as error:
        print(f"rnnpool: error: {error}", file=sys.stderr)
        return 2


def _run(verb: str | None, argv: list[str]) -> int:
    try:
        if verb is None:
            _main_parser().parse_args(argv)
            print(WELCOME, end="")
            return 0
        # Intermixed: lists of arguments may go on behind an option (rnnpool train RECIPE --data DIR key=value).
        args = verb_parser(verb).parse_intermixed_args(argv[1:])
    except SystemExit as done:  # --help and --version have printed what was asked for
        return int(done.code or 0)
    return _command(verb).run(args)


def _accept_any_text() -> None:
    """Names of files and classes are printed on any stream: bytes as they are, letters that it lacks escaped.

    A stream that was closed before the program began is replaced by one that takes everything and keeps nothing.
    """
    codecs.register_error("rnnpool", _encode_any)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="rnnpool")


def _encode_any(error: UnicodeError) -> tuple[str | bytes, int]:
    """What stands for the first letter that an encoding lacks: the byte that Python could not decode, or an escape."""
    assert isinstance(error, UnicodeEncodeError)
    first = UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    stands_for_byte = "\udc80" <= error.object[error.start] <= "\udcff"
    return codecs.lookup_error("surrogateescape" if stands_for_byte else "backslashreplace")(first)


def _command(verb: str) -> ModuleType:
    return importlib.import_module(f"rnnpool.commands.{verb}")


def _closest(verb: str) -> str:
    close = difflib.get_close_matches(verb, VERBS, n=1)
    return f", did you mean {close[0]!r}?" if close else ""
