"""What is known of a run when it is wired, for run.json: nothing of it has to be guessed from names or arguments later.

{"shape": "particles", "conditional": false, "logistic": false, "dual": true, "fastest": 1.0, "terms": {}}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pushforward.terms import TERMS, Term
from pushforward.training.experiment import Experiment
from pushforward.training.state import members
from pushforward.types import Explains, HasCritic, HasParticles, Likely, Method, able

__all__ = ["facts", "own_terms", "terms_of"]


def facts(experiment: Experiment) -> dict[str, Any]:
    """Plain values for JSON.

    Returns:
        `shape`, "particles" where samples are those that move, else "density" where the method answers for one, else
        "generator"; `conditional`; `logistic` and `dual`, whether every critic's loss is the logistic one, or its
        divergence's own; `fastest`, a speed that no sample exceeds, in model units, or None; `terms`, what the method
        says of numbers that it logs under names of its own.
    """
    method, critics = experiment.method, list(_critics(experiment.method))
    shape = "particles" if able(method, HasParticles) else "density" if able(method, Likely) else "generator"
    speeds = [critic.fastest for critic in critics]
    known = [speed for speed in speeds if speed is not None]
    return {
        "shape": shape,
        "conditional": experiment.conditional,
        "logistic": bool(critics) and all(critic.logistic for critic in critics),
        "dual": bool(critics) and all(critic.dual for critic in critics),
        "fastest": max(known) if known and len(known) == len(speeds) else None,
        "terms": {name: term.as_dict() for name, term in own_terms(method).items()},
    }


def own_terms(method: Method) -> dict[str, Term]:
    """What a method, its flows and codecs say of the numbers that they log; the outer ones have the last word."""
    found: dict[str, Term] = {}
    for _, member in members(method):
        if able(member, Explains):
            found = dict(member.terms) | found
    return found


def terms_of(method: Method) -> dict[str, Term]:
    """Everything that is known of the numbers of a method's log."""
    return TERMS | own_terms(method)


def _critics(method: Method) -> Iterator[HasCritic]:
    """The flows with critics in a method, each wrapper in place of what it wraps."""
    taken: list[str] = []
    for name, member in members(method):
        if able(member, HasCritic) and not any(name.startswith(outer) for outer in taken):
            taken.append(f"{name}." if name else "")
            yield member
