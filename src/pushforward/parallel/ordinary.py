"""The state of torch that the work here is written for, whatever the caller has set: gradients, and float32."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

__all__ = ["ordinarily"]

P = ParamSpec("P")
T = TypeVar("T")


def ordinarily(work: Callable[P, T]) -> Callable[P, T]:
    """The same function, with the same answers inside of `no_grad`, of `inference_mode` and under another default type.

    What the caller had set is set again afterwards.
    """

    @wraps(work)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        kind = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            with torch.inference_mode(False), torch.enable_grad():
                return work(*args, **kwargs)
        finally:
            torch.set_default_dtype(kind)

    return called
