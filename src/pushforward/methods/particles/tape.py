r"""Recorded fields, so many and no more: entry i of a tape serves the steps from i s up to (i + 1) s.

The stride s is `record` at first. Where there would be too many entries each two neighbours become one and s doubles,
so that of n steps there are between half of what is allowed and all of it, evenly spaced, and s is read off their
number:

.. math:: s = \text{record} \cdot 2^j, \qquad j \text{ least with } \lceil n / s \rceil \le \text{entries}.

An entry for several steps holds the mean of their fields, weighted by the lengths of the steps, where the flow can
blend two of them, as one with a critic can; else the first of them. A look at the field counts in that mean with all
the `record` steps that it would serve, before these are made: where `record` does not divide the steps of a run, the
last entry is weighed as if all its steps were made. A longer run makes them, so that one that goes on is bit for bit
one that never stopped, which a weight by the end of the run would not be. Whoever goes along the tape makes every step,
of the length that it had, so that the time of the way is the sum of all steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pushforward.plain.sizes import size

__all__ = ["BYTES", "Keeping", "remarks", "stride"]

BYTES = 2**28  # of memory that a tape may take; a checkpoint takes as many on the disk, and more memory for a moment

Entry = dict[str, Tensor]


def stride(entries: int, done: int, record: int) -> int:
    """Steps that an entry serves.

    Args:
        entries: How many there are.
        done: Steps done.
        record: Steps from one look at the field to the next, at first.
    """
    s = max(1, record)
    while entries and -(-done // s) > entries:
        s *= 2
    return s


def remarks(tape: list[Entry], done: int, steps: int, record: int, fields: int) -> tuple[str, ...]:
    """What a user should know of a tape: what it will take, and since when steps share a field; empty of most.

    Args:
        tape: The entries.
        done: Steps done.
        steps: Steps that the run will do.
        record: Steps from one look at the field to the next, at first.
        fields: Most entries; 0 keeps all.
    """
    if not tape:
        return ()
    each, record, said = _bytes(tape[0]), max(1, record), list[str]()
    most, serves, will = _most(tape[0], fields), stride(len(tape), done, record), -(-steps // record)
    if not fields and will * each > BYTES:
        said.append(
            f"fields 0 keeps all recorded fields, {will:,} of {size(each)}: {size(will * each)} of memory and three "
            f"times that while a checkpoint is written; fields {max(2, BYTES // each)} keeps them in {size(BYTES)}"
        )
    elif fields and min(will, 2) * each > BYTES:
        said.append(
            f"two recorded fields are kept in any case, here of {size(each)} each, more than the {size(BYTES)} that "
            "fields may take otherwise: give a smaller critic, or record none"
        )
    if fields and serves > record:
        bound = f"fields {fields}" if most == fields else f"{size(BYTES)} of memory"
        said.append(
            f"step {most * record + 1}: {most:,} recorded fields are kept ({bound}); from here on {2 * record} steps "
            "share one, and twice as many whenever there are so many again"
        )
    return tuple(said)


def _bytes(entry: Entry) -> int:
    return max(1, sum(value.nbytes for value in entry.values()))


def _most(entry: Entry, fields: int) -> int:
    """Entries that may be kept: two at least, of which one can be made."""
    return max(2, min(fields, BYTES // _bytes(entry)))


@dataclass(frozen=True)
class Keeping:
    """How a tape is kept.

    Attributes:
        record: Steps from one look at the field to the next, at first.
        fields: Most entries, which `BYTES` may lower; 0 keeps all.
        time: (a, b) -> time of the steps from a up to b.
        blend: (one, other, share of the other) -> the field between two; None where there is none.
        refit: Whether the stages of a step have fields of their own, whose names then stand behind their numbers.
    """

    record: int
    fields: int
    time: Callable[[int, int], float]
    blend: Callable[[Entry, Entry, float], Entry] | None
    refit: bool = False

    def enter(self, tape: list[Entry], stages: list[Entry], k: int) -> None:
        """Enter the field of step k, a multiple of `record`, into the tape of the steps before it.

        Args:
            tape: The entries, oldest first.
            stages: The field as it was at each stage of the scheme at which it was asked for.
            k: Steps done before.
        """
        entry = stages[0]
        if self.refit:
            entry = {f"{n}.{name}": value for n, stage in enumerate(stages) for name, value in stage.items()}
        s = stride(len(tape), k, self.record)
        while self.fields and k == len(tape) * s and len(tape) >= _most(entry, self.fields):
            tape[:] = [
                self._joined(tape[i], tape[i + 1], i * s, (i + 1) * s, (i + 2) * s) if i + 1 < len(tape) else tape[i]
                for i in range(0, len(tape), 2)
            ]
            s *= 2
        if k % s == 0:
            tape.append(entry)
        else:
            tape[-1] = self._joined(tape[-1], entry, k // s * s, k, k + max(1, self.record))

    def possible(self, tape: list[Entry], serves: int) -> bool:
        """Whether so few entries can serve so many steps each: thinning leaves half of what is allowed."""
        return serves <= max(1, self.record) or (self.fields > 0 and len(tape) >= _most(tape[0], self.fields) // 2)

    def _joined(self, one: Entry, other: Entry, begin: int, middle: int, end: int) -> Entry:
        """The entry of the steps from `begin` to `end`, of one that ends and one that begins in the middle."""
        if self.blend is None or not (whole := self.time(begin, end)):
            return one
        share, joined = self.time(middle, end) / whole, dict(one)  # stages that only the first one has stay
        for stage in {name.partition(".")[0] + "." for name in one} if self.refit else [""]:
            mine, theirs = (_of(entry, stage) for entry in (one, other))
            if mine.keys() == theirs.keys():
                joined |= {f"{stage}{name}": value for name, value in self.blend(mine, theirs, share).items()}
        return joined


def _of(entry: Entry, stage: str) -> Entry:
    """The tensors of one stage."""
    return {name.removeprefix(stage): value for name, value in entry.items() if name.startswith(stage)}
