"""Divergences by name: a constant of this package, `alpha(1.5)`, `alpha_lip(2)`, or `package.module:NAME`."""

from __future__ import annotations

import re

from pushforward import guests
from pushforward.divergences import family, lipschitz
from pushforward.divergences.family import HELLINGER, JS, KL, LOGD, REVERSE_KL, Divergence, alpha
from pushforward.divergences.lipschitz import alpha_lip
from pushforward.errors import UsageError, meant

__all__ = ["locate", "names"]

ALIASES = {"SATURATING": JS, "LOG_D": LOGD, "LINEAR": KL, "RKL": REVERSE_KL, "H2": HELLINGER}


ORDERED = {"alpha": alpha, "alpha_lip": alpha_lip, "lipschitz alpha": alpha_lip}


def names() -> list[str]:
    """The constants of this package, as `locate` and the command line take them."""
    return list(_constants())


def _constants() -> dict[str, Divergence]:
    members = vars(family) | vars(lipschitz)
    return {name: value for name, value in members.items() if isinstance(value, Divergence)}


def locate(name: str | Divergence, outside: bool = True) -> Divergence:
    """Find a divergence by name: a constant of this package, `alpha(1.5)`, `alpha_lip(2)`, or `package.module:NAME`.

    Args:
        name: What to look for; upper or lower case for the constants. A Divergence is returned as it is.
        outside: Whether `package.module:NAME` may be imported; False when the name came out of a file.

    Raises:
        UsageError: If there is no such divergence, or it lives outside and that is not allowed.
    """
    if isinstance(name, Divergence):
        return name
    if match := re.fullmatch(rf"({'|'.join(ORDERED)})\((.+)\)", name.strip(), re.IGNORECASE):
        try:
            return ORDERED[match[1].lower()](float(match[2]))
        except ValueError as error:
            raise UsageError(f"divergence {name!r}: the order must be a number, for example alpha(1.5)") from error
    if ":" in name:
        return _imported(name, outside)
    key = name.strip().upper().replace("-", "_").replace(" ", "_")
    found = ALIASES.get(key, _constants().get(key))
    if found is None:
        raise UsageError(
            f"no divergence {name!r}; {meant(name, names())}use one of {', '.join(names())}, alpha_lip(A), alpha(A), "
            "or package.module:NAME"
        )
    return found


def _imported(name: str, outside: bool) -> Divergence:
    if not outside:
        raise UsageError(
            f"divergence {name!r} lives outside this package and a file must not make us import code; "
            f"name it yourself with --divergence {name}"
        )
    found = guests.load(name, "divergence")
    if not isinstance(found, Divergence):
        raise guests.refused(name, "divergence", found, "a pushforward.divergences.Divergence")
    return found
