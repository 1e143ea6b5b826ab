"""Failures a user can act on; each carries the exit code of the command line."""

import codecs
import difflib
import io
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import ClassVar

__all__ = [
    "DataError",
    "NotFinite",
    "OutOfTime",
    "TrainingError",
    "UsageError",
    "install",
    "meant",
    "nearest",
    "needs",
    "of_memory",
    "on_any_terminal",
    "printable",
    "shortened",
]


class TrainingError(RuntimeError):
    """A run that failed, e.g. by a loss that is not finite. The message is one line: step, term, remedy."""

    exit_code: ClassVar[int] = 1


class NotFinite(TrainingError):
    """A number that is none. Who knows by which options the run began says what to lower in place of the remedy.

    Attributes:
        found: Step and term, in words.
    """

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(f"{found}; {remedy}")
        self.found = found


class UsageError(ValueError):
    """A wrong option or argument. The message is one line: what was given, what is allowed."""

    exit_code: ClassVar[int] = 2


class DataError(ValueError):
    """Data that cannot be learned from. The message is one line: file, place in the file, remedy."""

    exit_code: ClassVar[int] = 3


class OutOfTime(Exception):
    """Work that would not end in the time that it may take, or did not; who set the limit says what then."""


ALLOCATORS = (
    "DefaultCPUAllocator",
    "can't allocate memory",
    "out of memory",
    "Storage size calculation overflowed",
    "_ALLOC_FAILED",  # of cuBLAS, cuDNN and their kin
)


def of_memory(error: BaseException) -> bool:
    """Whether memory could not be had, of the machine or of a device: no fault of what was read or computed.

    On the CPU torch says so in words alone. An error that was raised over such a one counts too.
    """
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, MemoryError) or (
            isinstance(found, RuntimeError)
            and (type(found).__name__ == "OutOfMemoryError" or any(words in str(found) for words in ALLOCATORS))
        ):
            return True
        found = found.__cause__
    return False


def install(packages: str) -> str:
    """The command that installs packages, by the names that installers know; it works where this one has no name."""
    return f"python -m pip install {packages}"


@contextmanager
def needs(packages: str, what: str, otherwise: str = "") -> Iterator[None]:
    """Within, packages are imported that may not be installed.

    Args:
        packages: Their names, as installers know them: "onnx onnxruntime".
        what: What needs them: "x.h5ad: reading .h5ad".
        otherwise: What helps as well, behind the remedy.

    Raises:
        UsageError: If one is missing, or is there and does not import; any other error of theirs is left as it is.
    """
    try:
        yield
    except ImportError as error:
        broken = not isinstance(error, ModuleNotFoundError)  # it is there, and must be replaced
        remedy = install(f"-I {packages}" if broken else packages)
        raise UsageError(f"{what} needs {packages} ({error}): {remedy}{otherwise}") from error


LONGEST = 2000  # characters of a message; of a longer one the middle, where a name or a value stands, is left out


def printable(words: str) -> str:
    """Words on one line of bounded length, in which nothing that a file or a name holds moves a terminal's cursor."""
    if len(words) > LONGEST:
        words = f"{words[: LONGEST // 2]} ... {words[-LONGEST // 2 :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)


FIRST = 6  # names of a list that a terminal shows


def shortened(note: str) -> str:
    """A note for people: of a long list behind a colon the first names, and how many more `--json` has."""

    def short(part: str) -> str:
        head, colon, tail = part.rpartition(": ")
        names = tail.split(", ")
        if not colon or len(names) <= FIRST + 1:
            return part
        return f"{head}{colon}{', '.join(names[:FIRST])} and {len(names) - FIRST} more, which --json lists"

    return printable("; ".join(map(short, note.split("; "))))


@contextmanager
def on_any_terminal() -> Iterator[None]:
    """Within, what the encoding of standard output or error has no sign for is printed by a plain one, or its number.

    Words, tables and names hold signs that cp1252, latin-1 or ASCII lack; what speaks of them must not fail over that.
    """
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, io.TextIOWrapper)]
    before = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors="plainly")
    try:
        yield
    finally:
        for stream, errors in zip(streams, before, strict=True):
            if not stream.closed:
                stream.reconfigure(errors=errors)


PLAIN = {"\u2022": "*", "\u2016": "||", "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-",
         "\u2014": "-", "\u2212": "-", "\u00b7": ".", "\u00d7": "x", "\u00b1": "+-", "\u2248": "~", "\u2192": "->",
         "\u2190": "<-", "\u2264": "<=", "\u2265": ">=", "\u2501": "-", "\u2578": "-", "\u257a": "-"}  # fmt: skip


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """Plain signs for those that cannot be written, or their numbers, as \\u2207."""
    if not isinstance(error, UnicodeEncodeError):
        raise error

    def plain(sign: str) -> str:
        found = PLAIN.get(sign) or unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
        return found or sign.encode("ascii", "backslashreplace").decode()

    return "".join(map(plain, error.object[error.start : error.end])), error.end


codecs.register_error("plainly", _plainly)


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Names like a word, whatever the case, "-" and "_": the one most like it, and a second that is about as like."""
    plain = {name.lower().replace("-", "_"): name for name in known}
    word = word.lower().replace("-", "_")
    most, alike = (difflib.get_close_matches(word, plain, n, cutoff) for n, cutoff in ((1, 0.6), (2, 0.75)))
    return [plain[name] for name in dict.fromkeys((*most, *alike))]


def meant(word: str, known: Iterable[str], written: Callable[[str], str] = str) -> str:
    """ "did you mean x? " for the name most like a word, as it should be written; nothing where none is like it."""
    names = nearest(word, known)
    return f"did you mean {' or '.join(map(written, names))}? " if names else ""
