"""Nets whose last layers are not 0 any more: a fresh net answers 0, and would pass any test of what it answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn


@pytest.fixture
def awake() -> Callable[[nn.Module], nn.Module]:
    def wake(net: nn.Module) -> nn.Module:
        with torch.no_grad():
            for parameter in net.parameters():
                if not parameter.any():
                    parameter.normal_(0.0, 0.1)
        return net

    return wake
