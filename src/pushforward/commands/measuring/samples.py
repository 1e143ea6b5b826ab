"""One source of samples measured against another."""

from __future__ import annotations

from dataclasses import replace

from pushforward.commands.measuring.judging import Evaluated, expected, judged
from pushforward.commands.watching import Watching
from pushforward.data import outputs
from pushforward.data.compare.pairs import read_pair
from pushforward.evaluation import measure_pair, parts, space
from pushforward.metrics.gates import parse_gate
from pushforward.metrics.verdict.report import Report
from pushforward.parallel import sharing
from pushforward.parallel.ordinary import ordinarily
from pushforward.parallel.placement import Placement
from pushforward.plain.lists import listed
from pushforward.settings.asked import Evaluating

__all__ = ["evaluate_samples"]


@ordinarily
def evaluate_samples(asked: Evaluating, command: str = "") -> Evaluated:
    """Measure one source of samples against another, both in data units; under torchrun, ranks share the work.

    Args:
        asked: What the user asked, with two sources.
        command: The command, for the page.
    """
    assert asked.fake is not None
    assert asked.real is not None
    if asked.page is not None:
        outputs.claim("--page", asked.page, outputs.PAGE, (asked.fake, asked.real, asked.train, asked.features))
    settings, gates = asked.settings, [parse_gate(gate) for gate in asked.fail_if]
    placement = Placement.find("cpu")
    pair = read_pair(asked.fake, asked.real, asked.train, seed=settings.seed, side=asked.side)
    chosen, title = space(asked.features, pair, trust=asked.trust), f"{asked.fake} against {asked.real}"
    wanted = parts(asked.metrics, pair, chosen.features, asked.trust)
    expected(gates, wanted, settings.permutations, pair)
    with Watching(quiet=not placement.writes) as watch:
        found = measure_pair(pair, chosen, wanted, settings, title=title, watch=watch, together=placement.world > 1)
    found = replace(found, notes=(*found.notes, *_blunt(found)))
    sharing.leave()
    if not placement.writes:
        return Evaluated(found, speaks=False)
    return judged(found, pair, gates, title, asked.page, command)


def _blunt(found: Report) -> tuple[str, ...]:
    """A note on the numbers whose error hides more than a fifth of the floor: only who gave the samples has more."""
    names = [
        name.split("@")[0]
        for name, one in found.items()
        if one.p is None and one.floor and one.floor > 0 and (one.error or 0.0) > one.floor / 5 and one.better != "none"
    ]
    if not names:
        return ()
    which = f"{listed(names)}, whose error is more than a fifth of the floor"
    return (f"the samples were given: more of them, and more rows of data, would sharpen {which}",)
