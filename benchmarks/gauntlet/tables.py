"""The outcomes as tables: share caught of every bad way, share accused of every honest way beside its binomial band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scipy.stats import binom

from .judging import LEVEL, Outcome
from .trial import KINDS, Kind

__all__ = ["band", "text", "too_many"]

SURE = 0.999  # an honest evaluator exceeds the band once in a thousand tables


def band(trials: int, level: float = LEVEL) -> int:
    """The most accusations that chance explains, the 99.9 % point of Binomial(trials, level)."""
    return int(binom.ppf(SURE, trials, level))


def too_many(outcomes: Sequence[Outcome]) -> bool:
    """Whether honest ways are accused more often than chance explains, or any is refused."""
    honest = [outcome for outcome in outcomes if outcome.honest]
    refused = sum(bool(outcome.refused) for outcome in honest)
    return refused > 0 or sum(outcome.caught for outcome in honest) > band(len(honest))


def text(outcomes: Sequence[Outcome], kinds: Mapping[str, tuple[Kind, ...]]) -> str:
    """Both tables in Markdown, and what they come to.

    Args:
        outcomes: All repetitions.
        kinds: The kinds that each way applies to.
    """
    bad = [outcome for outcome in outcomes if not outcome.honest]
    honest = [outcome for outcome in outcomes if outcome.honest]
    blocks = list[str]()
    if bad:
        blocks += [_table("bad way: % caught", bad, kinds), _total("Caught", bad) + "."]
    if honest:
        chance = band(sum(not outcome.refused for outcome in honest))
        blocks += [
            _table("honest way: accused of repetitions", honest, kinds, shares=False),
            f"{_total('Accused', honest)}; chance explains {chance}.",
        ]
    spent = sum(outcome.seconds for outcome in outcomes)
    return "\n\n".join([*blocks, f"{len(outcomes)} evaluations, {spent / 60:.0f} CPU minutes."])


def _total(what: str, outcomes: Sequence[Outcome]) -> str:
    """How many of those that were compared, and how many were not."""
    refused = sum(bool(outcome.refused) for outcome in outcomes)
    caught, compared = sum(outcome.caught for outcome in outcomes), len(outcomes) - refused
    share = f", {caught / compared:.1%}" if compared else ""
    return f"{what}: {caught} of {compared} compared{share}" + (f"; refused: {refused}" if refused else "")


def _table(title: str, outcomes: Sequence[Outcome], kinds: Mapping[str, tuple[Kind, ...]], shares: bool = True) -> str:
    """One row a way, one column a kind; in a cell a number for each size, smallest first."""
    there: list[Kind] = [kind for kind in KINDS if any(o.kind == kind for o in outcomes)]
    sizes = {kind: sorted({o.size for o in outcomes if o.kind == kind}) for kind in there}
    names = list(dict.fromkeys(o.way for o in outcomes))

    def number(group: list[Outcome]) -> str:
        if all(outcome.refused for outcome in group):
            return "refused"
        caught = sum(outcome.caught for outcome in group)
        return f"{100 * caught / len(group):.0f}" if shares else f"{caught} of {len(group)}"

    def cell(way: str, kind: Kind) -> str:
        if way and kind not in kinds[way]:
            return ""
        groups = [[o for o in outcomes if way in ("", o.way) and (o.kind, o.size) == (kind, n)] for n in sizes[kind]]
        numbers = [number(group) for group in groups if group]
        return numbers[0] if set(numbers) == {"refused"} else " / ".join(numbers)

    heads = [title, *(f"{kind} {' / '.join(map(str, sizes[kind]))}" for kind in there)]
    rows = [[name.replace("_", " "), *(cell(name, kind) for kind in there)] for name in names]
    total = ["**all**", *(cell("", kind) for kind in there)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *rows, total])
