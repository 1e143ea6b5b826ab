"""The command line. Nothing heavy is imported before a command runs, so that --help answers at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import tyro

from pushforward import __version__, guests
from pushforward.errors import DataError, TrainingError, UsageError, meant, of_memory, on_any_terminal, printable
from pushforward.faces.answers import Told
from pushforward.faces.benches import bench, stability
from pushforward.faces.editing import interpolate, restore
from pushforward.faces.learning import begun, demo, recipes, train
from pushforward.faces.publishing import export, pull, push
from pushforward.faces.using import doctor, evaluate, merge, report, sample, transport

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 a run failed or a disk is full, 2 wrong usage, 3 bad data, 128 + signal."""
    with on_any_terminal():
        _main(arguments)


def _main(arguments: Sequence[str] | None) -> None:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # else idle threads of torch spin, and starve a busy machine
    words = list(sys.argv[1:] if arguments is None else arguments)
    words = words[words[:1] == ["--"] :]  # what torchrun may leave in front
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except (DataError, UsageError, TrainingError) as error:
        code = _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        _to_nobody()
        code = 141
    except Exception as error:  # also of a library that knows a damaged file or a full memory by an error of its own
        code = _unforeseen(error, words)
    if code == 0 and os.environ.get("WORLD_SIZE", "1") != "1":
        # Threads of a process group may abort an interpreter that takes its time to end. After an error nobody hurries:
        # the first process that fails has the others stopped, and one of them has the message.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _to_nobody() -> None:
    """What standard output still holds goes nowhere, or the interpreter would fail over it once more as it ends."""
    with suppress(OSError, ValueError):  # it may be no file at all
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unforeseen(error: Exception, words: Sequence[str]) -> int:
    """Say in one line what a guest raised, or which file could not be had; anything else is a mistake of ours."""
    if said := guests.blamed(error, guests.mentioned(words)):
        notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        # by every process, since it may have failed in one alone
        print(f"error: {printable(said + notes)}", file=sys.stderr)
        return TrainingError.exit_code
    if isinstance(error, OSError):
        from pushforward import files

        if files.is_full(error):
            if error.filename is None:
                _to_nobody()
            return _complain(
                f"{files.no_room(error)} or name another place, and give the command again", TrainingError.exit_code
            )
        if error.filename is not None:
            where = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename
            return _complain(f"{where}: {error.strerror}; name a place that can be read or written", 2)
        said = error.strerror or str(error) or type(error).__name__
        return _complain(f"the system refused: {said}; see to the disk or the device, then try again", 1)
    if of_memory(error):
        said = str(error).partition("\n")[0] or "no memory is left"
        return _complain(f"out of memory ({said}); take fewer rows or a smaller side, batch or net", 1)
    raise error


def _complain(message: str, code: int) -> int:
    """Print an error, once where several processes share a command."""
    if os.environ.get("RANK", "0") == "0":
        print(f"error: {printable(message)}", file=sys.stderr)
    return code


COMMANDS: dict[str, Callable[..., int | Told]] = {
    command.__name__: command
    for command in (
        demo,
        recipes,
        train,
        sample,
        transport,
        restore,
        interpolate,
        evaluate,
        merge,
        report,
        export,
        push,
        pull,
        bench,
        doctor,
    )
}
BENCHES: dict[str, Callable[..., Told]] = {one.__name__: one for one in (stability,)}

EXAMPLES = """
examples:
  pushforward demo
  pushforward train toy_vgrow --data toy:grid25 --run runs/grid
  pushforward train vgrow_images --data mnist.npz:x_train --features digits8 --run runs/mnist
  pushforward sample runs/grid -n 1000 --seed 1 --out samples.npz
  pushforward restore runs/bridge digit.png --mask-half left -n 8 --out restored/
  pushforward evaluate --fake samples/ --real photos/ --train photos_train/ --features cifar_resnet --page page.html
  pushforward evaluate --fake synthetic.csv --real held_out.csv --fail-if 'p<0.01' 'recall<0.5'
  pushforward merge cells.h5ad --batch donor --target A --labels cell_type --out merged.h5ad --page merge.html
  pushforward report runs/grid runs/mnist
  pushforward export runs/grid --out grid.onnx
  pushforward push runs/grid hub/grid
  pushforward bench stability --data toy:ring8 --seconds 20 --out runs/stability
"""


def _dispatch(words: list[str]) -> int:
    if words in (["--version"], ["-V"]):
        print(f"pushforward {__version__}")
        return 0
    for option, what in (("--run", "the folder of a run"), ("--out", "what to write"), ("--page", "a file, .html")):
        if (option, "") in pairwise(guests.apart(words)):
            raise UsageError(f"{option} '': name {what}")
    if words[:1] == ["--completion"]:
        from pushforward import options

        options.completion(words[1] if words[1:] else "", COMMANDS, BENCHES)
        return 0
    first = (words or ["--help"])[0]
    if first not in COMMANDS and not first.startswith("-"):
        raise UsageError(f"{first}: no such command; {meant(first, COMMANDS)}there are {', '.join(COMMANDS)}")
    if words[:1] == ["train"]:
        from pushforward import options  # reads the options of all recipes, which --help must not wait for

        about = "Train a recipe in a folder, evaluate it and write its report.\n" + EXAMPLES
        return begun(options.read(words[1:], about))
    if first == "bench":
        return _bench(words)
    read = words
    if first in COMMANDS:
        from pushforward import options

        read = options.with_settings(words) if first in ("sample", "evaluate") else words
        options.refuse_unknown(guests.apart(words[1:]), options.flags_of(COMMANDS[first]), f"pushforward {first}")
    code = _read(COMMANDS, "pushforward", read or ["--help"], "Generate and move data by gradient flow.\n" + EXAMPLES)
    return _told(code, words)


def _bench(words: list[str]) -> int:
    """One of the benches, which have options of their own."""
    name = (words[1:] or ["--help"])[0]
    if name not in BENCHES and not name.startswith("-"):
        raise UsageError(f"bench {name}: no such bench; {meant(name, BENCHES)}there are {', '.join(BENCHES)}")
    if name in BENCHES:
        from pushforward import options

        options.refuse_unknown(words[2:], options.flags_of(BENCHES[name]), f"pushforward bench {name}")
    about = "Measure methods against each other over many settings."
    return _told(_read(BENCHES, "pushforward bench", words[1:] or ["--help"], about), words)


def _read(commands: dict[str, Callable[..., Any]], prog: str, words: list[str], about: str) -> Any:
    """What the one of some commands answers that the words name."""
    return tyro.extras.subcommand_cli_from_dict(
        commands,
        prog=prog,
        args=words,
        use_underscores=False,
        config=(tyro.conf.FlagCreatePairsOff,),
        description=about,
    )


def _told(code: int | Told, words: list[str]) -> int:
    """The exit code of a command that is done, or has its options read and is told how it was typed."""
    if callable(code):
        from pushforward.commands import console

        return code(console.command_line(words))
    return int(code)


if __name__ == "__main__":
    main()
