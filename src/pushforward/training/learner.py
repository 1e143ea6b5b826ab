"""A net that learns: the net, its optimiser, its running average, and where it lives."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from itertools import chain
from operator import is_, methodcaller
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pushforward.errors import TrainingError
from pushforward.parallel.placement import Placement
from pushforward.training.adam.fused import Fused
from pushforward.training.schedule import constant
from pushforward.types import Scalar, Schedule

__all__ = ["Learner", "MakeOptimiser", "counted"]

MakeOptimiser: TypeAlias = Callable[[Iterable[nn.Parameter]], Optimizer]


class Learner(nn.Module):
    r"""A net with its optimiser, learning-rate schedule, gradient clipping and exponential moving average.

    Calling it runs the pass that trains (under autocast, and through DistributedDataParallel where there are several
    processes). Velocities and penalties use `net` itself, inside `frozen()` where its parameters need no gradient.

    The average follows :math:`\bar\theta \leftarrow \beta\bar\theta + (1-\beta)\theta` with
    :math:`\beta = \min(\text{ema}, (1+k)/(10+k))` after k updates, so that it forgets the initial weights early.
    Buffers (batch-norm statistics, spectral-norm vectors) are copied, never averaged.

    A net may grow, shrink or be replaced: `adopt` then brings optimiser, average and processes in line with it. Until
    that is done `descend` refuses, since it would train the old parameters only.

    Args:
        net: What learns.
        optimiser: Parameters -> optimiser, for example `partial(Adam, lr=1e-3, betas=(0.0, 0.99), fused=True)`.
        ema: Decay of the average; None keeps none.
        schedule: Updates done -> factor on every learning rate.
        clip: Largest norm of the gradient; None leaves it alone.
    """

    def __init__(
        self,
        net: nn.Module,
        optimiser: MakeOptimiser,
        *,
        ema: float | None = None,
        schedule: Schedule = constant,
        clip: float | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.average = deepcopy(net).requires_grad_(False).eval() if ema is not None else None
        self.ema, self.schedule, self.clip = ema, schedule, clip
        self._make, self.optimiser = optimiser, optimiser(net.parameters())
        self.updates = 0
        self.placement = Placement()
        self._rates = [group["lr"] for group in self.optimiser.param_groups]
        self._through: list[nn.Module] = [net]  # in a list, so that what averages gradients is not part of the state
        self._fused: Fused | None = None
        self._note()

    def _note(self) -> None:
        """Look through the net once, so that no update has to: its parameters, and what would tell that it changed."""
        self._parameters_list: list[Tensor] = list(self.net.parameters())
        self._shapes = [parameter.shape for parameter in self._parameters_list]
        self._averaged_list: list[Tensor] = [] if self.average is None else list(self.average.parameters())
        modules = list(self.net.modules())
        self.has_modes = any(isinstance(m, _MODAL) or "parametrizations" in m._modules for m in modules)
        self._tables: list[dict[str, Any]] = [table for m in modules for table in (m._parameters, m._modules)]
        self._tables.append(self._modules)
        self._entries = list(chain.from_iterable(map(_VALUES, self._tables)))

    @property
    def sampler(self) -> nn.Module:
        """The net that answers for the model: the average where there is one."""
        return self.net if self.average is None else self.average

    def place(self, placement: Placement) -> None:
        """Move everything to a device and, with several processes, share gradients between them."""
        self.placement = placement
        self._settle()
        self._note()

    def _settle(self) -> None:
        """Put the net where it belongs, and share its gradients where there are others to share them with."""
        placement = self.placement
        self.to(placement.device)
        if placement.device.type == "cuda":
            for parameter in self.parameters():
                if parameter.dim() == 4:
                    parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self._through = [self.net]
        if placement.world > 1:
            gc.collect()  # hooks of a wrapper before this one go with it
            if placement.device.type == "cuda":
                self.net = nn.SyncBatchNorm.convert_sync_batchnorm(self.net)
            self._through = [placement.averaging(self.net)]

    @property
    def whole(self) -> bool:
        """Whether the net still consists of the modules and parameters that the optimiser was made for.

        It costs a microsecond or two for a small net: every table of modules and parameters is compared by identity.
        """
        present = chain.from_iterable(map(_VALUES, self._tables))
        return sum(map(len, self._tables)) == len(self._entries) and all(map(is_, self._entries, present))

    def checked(self) -> None:
        """Refuse to go on with a net that changed.

        Raises:
            TrainingError: If the net is no longer `whole`: names the parameters that would not learn.
        """
        if self.whole:
            return
        known = {id(parameter) for parameter in self._parameters_list}
        fresh = [name for name, parameter in self.net.named_parameters() if id(parameter) not in known]
        some = f" ({', '.join(fresh[:3])}{', ...' if len(fresh) > 3 else ''})" if fresh else ""
        raise TrainingError(
            f"the net changed after its optimiser was made, and {len(fresh)} parameters{some} would not learn: call "
            "adopt() where it changes, or change it in the `build` of a stage"
        )

    def adopt(self, net: nn.Module | None = None) -> None:
        r"""Learn the net as it now is, or another one, from the next update on.

        The optimiser is made anew by the function that made the first. A parameter that was there before keeps its
        moments, its count and its running average; one that grew in place at the ends of its axes keeps those of its
        old corner; a new one starts with no moments and an average equal to itself. Updates, and with them the schedule
        and the average's decay, go on; learning rates are those that the function gives.

        The average is a copy of the net: what is added to the net need not be added to it. With several processes all
        must call this, and new parameters become those of the first process.

        Args:
            net: What learns from now on; None for the same net, grown or pruned in place.
        """
        former = dict(zip(self._parameters_list, self._shapes))
        averaged = dict(zip(self._parameters_list, self._averaged_list))
        old, self._through = self.optimiser, []
        old.zero_grad(set_to_none=True)
        self.net = self.net if net is None else net
        self._settle()
        self.optimiser = self._make(self.net.parameters())
        self._rates = [group["lr"] for group in self.optimiser.param_groups]
        self._inherit(old, former)
        if self.average is not None:
            self.average = deepcopy(self.net).requires_grad_(False).eval()
            for mine, theirs in zip(self.average.parameters(), self.net.parameters(), strict=True):
                if theirs in averaged:
                    mine.copy_(_cornered(averaged[theirs], mine))
        self._note()

    def _inherit(self, old: Optimizer, former: dict[Tensor, torch.Size]) -> None:
        """Give the optimiser what another one knows of the parameters that both have, once of the given shapes."""
        groups, before = self.optimiser.param_groups, old.param_groups
        if len(groups) == len(before):
            for group, theirs in zip(groups, before):
                group |= {key: value for key, value in theirs.items() if key not in ("params", "lr")}
        for parameter in chain.from_iterable(group["params"] for group in groups):
            if parameter in old.state:
                self.optimiser.state[parameter] = {
                    key: _cornered(value, torch.zeros_like(parameter))
                    if isinstance(value, Tensor) and value.shape == former[parameter] and value.dim()
                    else value
                    for key, value in old.state[parameter].items()
                }

    def autocast(self) -> Any:
        """The precision of forward passes, as a context."""
        if self.placement.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.placement.device.type, dtype=torch.bfloat16)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The pass that trains; answers in float32 or better."""
        with self.autocast():
            out = self._through[0](*inputs)
        return out.float() if out.dtype == torch.bfloat16 else out

    def evaluate(self, *inputs: Tensor) -> Tensor:
        """The net itself, in its precision but past what averages gradients: for velocities and moved samples."""
        with self.autocast():
            out = self.net(*inputs)
        return out.float() if out.dtype == torch.bfloat16 else out

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Within: no gradient reaches the parameters; dropout and spectral iterations are as in evaluation."""
        training = self.net.training
        if self.has_modes and training:
            self.net.eval()
        learned = [parameter for parameter in self._parameters_list if parameter.requires_grad]
        for parameter in learned:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in learned:
                parameter.requires_grad_(True)
            if self.has_modes and training:
                self.net.train()

    def descend(self, loss: Scalar) -> None:
        """One update: gradient, clipping, learning rate, optimiser, average.

        Raises:
            TrainingError: If the net changed since its optimiser was made.
        """
        if not self.whole:
            self.checked()
        for parameter in self._parameters_list:  # as zero_grad does, at a tenth of its cost
            parameter.grad = None
        loss.backward()
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self._parameters_list, self.clip)
        self.set_rates()
        if self._fused is None or not self._fused.serves(self.optimiser):
            self._fused = Fused.of(self.optimiser)
        if self._fused is None or not self._fused.step():
            self.optimiser.step()
        self.updates += 1
        self.follow()

    def set_rates(self) -> float:
        """Apply the schedule to the optimiser and return its factor."""
        factor = self.schedule(self.updates)
        for group, rate in zip(self.optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        return factor

    @property
    def decay(self) -> float:
        """How much the average keeps of itself after the updates done so far."""
        return min(self.ema or 0.0, (1 + self.updates) / (10 + self.updates))

    def follow(self) -> None:
        """Move the average towards the net."""
        if self.average is None:
            return
        with torch.no_grad():
            torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
                self._averaged_list, self._parameters_list, 1 - self.decay
            )
            for mine, theirs in zip(self.average.buffers(), self.net.buffers(), strict=True):
                mine.copy_(theirs)

    def weights(self) -> dict[str, Tensor]:
        """Every tensor that says what the net computes, by name: `net.*` and `average.*`."""
        return self.state_dict()

    def resume_state(self) -> dict[str, Any]:
        """What only training needs: the optimiser's state and the number of updates."""
        return {"optimiser": self.optimiser.state_dict(), "updates": self.updates}

    def load_resume_state(self, state: dict[str, Any]) -> None:
        """The inverse of `resume_state`; learning rates stay those of this learner.

        Raises:
            ValueError: If the state is of other types or shapes than this optimiser keeps, which it would find out at
                a later step.
        """
        stored, own = _object(state, "optimiser"), self.optimiser.state_dict()["param_groups"]
        groups, kept = stored.get("param_groups"), _object(stored, "state")
        if not isinstance(groups, list) or len(groups) != len(own):
            raise ValueError(f"groups of the optimiser are {groups!r:.40}, not {len(own)}")
        for old, new in zip(own, groups, strict=True):
            if not isinstance(new, dict) or new.get("params") != old["params"]:
                raise ValueError(f"a group of the optimiser is {new!r:.40}")
            if strange := [key for key in old if key != "lr" and not _alike(old[key], new.get(key))]:
                raise ValueError(f"{strange[0]} of the optimiser is {new.get(strange[0])!r:.40}")
        numbers = {number for group in own for number in group["params"]}
        for number in kept:
            values = _object(kept, number)
            plain = all(isinstance(value, Tensor | int | float | None) for value in values.values())
            if number not in numbers or not plain:
                raise ValueError(f"the optimiser keeps {values!r:.40} for parameter {number!r:.20}")
        self.optimiser.load_state_dict(stored)
        filled = [(parameter, mine) for parameter, mine in self.optimiser.state.items() if mine]
        for parameter, mine in filled:
            sizes = [value.shape for value in mine.values() if isinstance(value, Tensor)]
            if mine.keys() != filled[0][1].keys() or any(size not in ((), (1,), parameter.shape) for size in sizes):
                raise ValueError(f"the optimiser keeps {sizes} for a parameter of shape {tuple(parameter.shape)}")
        self.updates = counted(state, "updates")


def counted(state: object, name: str) -> int:
    """A whole number of a stored state that counts something.

    Raises:
        ValueError: If it is anything else, or there is none.
    """
    found = state.get(name) if isinstance(state, dict) else None
    if type(found) is not int or not 0 <= found < 2**53:
        raise ValueError(f"{name} is {found!r:.40}, not a count")
    return found


def _object(state: object, name: object) -> dict[Any, Any]:
    """A dictionary of a stored state.

    Raises:
        ValueError: If it is anything else, or there is none.
    """
    found = state.get(name) if isinstance(state, dict) else None
    if not isinstance(found, dict):
        raise ValueError(f"{name} is {found!r:.40}, not a dictionary")
    return found


def _alike(one: Any, other: Any) -> bool:
    """Whether two settings of an optimiser are of one type, part by part; of parameters there are equally many."""
    if isinstance(one, list | tuple):
        return isinstance(other, list | tuple) and len(one) == len(other) and all(map(_alike, one, other))
    return isinstance(other, Tensor) if isinstance(one, Tensor) else type(one) is type(other)


def _cornered(old: Tensor, new: Tensor) -> Tensor:
    """The old tensor where it has the shape of the new one; else the new one, with the old one in its first corner."""
    if old.shape == new.shape:
        return old
    new = new.detach().clone()
    if old.dim() == new.dim() and all(a <= b for a, b in zip(old.shape, new.shape)):
        new[tuple(slice(size) for size in old.shape)] = old
    return new


_VALUES = methodcaller("values")
_MODAL = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase)
