"""The state of a method: every learner, random source and tensor among its fields, found by walking dataclasses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import of_memory
from pushforward.parallel import sharing
from pushforward.parallel.doubles import moved
from pushforward.parallel.placement import Placement
from pushforward.training.learner import Learner
from pushforward.types import Placeable, Restores, Resumable, Shared, able

__all__ = [
    "changing",
    "load_state",
    "members",
    "parts",
    "place",
    "restore",
    "resume_state",
    "reunite",
    "weights",
]


def parts(root: Any, name: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """Walk fields, lists, tuples, dictionaries and bound arguments; yield (dotted name, stateful part), each once.

    A stateful part is a `Learner`, a tensor, or a `Resumable`. Callables other than `functools.partial` are opaque.
    """
    yield from ((name, node) for name, node in _nodes(root, name, seen) if not (is_dataclass(node) or _blank(node)))


def members(root: Any) -> Iterator[tuple[str, Any]]:
    """A method and every dataclass among its fields, at any depth: its flows, codecs and inner methods; outer first."""
    yield "", root
    yield from ((name, node) for name, node in _nodes(root) if name and is_dataclass(node))


def _nodes(root: Any, name: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """What `parts` finds, and the dataclasses and empty lists on the way."""
    seen = set() if seen is None else seen
    if id(root) in seen:
        return
    if isinstance(root, Learner | Tensor):
        seen.add(id(root))
        yield name, root
        return
    if is_dataclass(root) and not isinstance(root, type):
        yield name, root
        children = [(f.name, getattr(root, f.name)) for f in fields(root) if f.name != "logs"]
    elif isinstance(root, dict):
        children = list(root.items())
    elif _blank(root):
        seen.add(id(root))
        yield name, root
        return
    elif isinstance(root, list | tuple):
        children = list(enumerate(root))
    elif isinstance(root, partial):
        children = [*enumerate(root.args), *root.keywords.items()]
    else:
        if able(root, Resumable):
            seen.add(id(root))
            yield name, root
        return
    for key, child in children:
        yield from _nodes(child, f"{name}.{key}" if name else str(key), seen)


def place(root: Any, placement: Placement) -> None:
    """Tell every part of a method where it lives, and move its tensors there."""
    _place(root, placement, ())
    if placement.world > 1 and able(root, Shared):
        root.shard()


def _place(root: Any, placement: Placement, known: Sequence[Any]) -> None:
    placed = {id(node) for node in known}
    for name, node in [(name, node) for name, node in _nodes(root) if id(node) not in placed]:
        if isinstance(node, Tensor):
            _assign(root, name, moved(node, placement.device))
        elif able(node, Placeable):
            node.place(placement)


@contextmanager
def changing(root: Any, placement: Placement) -> Iterator[None]:
    """Within, parts of a method may be built or changed: new ones are then placed, and learners adopt changed nets.

    Rows that are made here are not shared out: `pushforward.parallel.sharing.own_rows` does that.
    """
    known = [node for _, node in _nodes(root)]
    yield
    _place(root, placement, known)
    for _, part in parts(root):
        if isinstance(part, Learner) and not part.whole:
            part.adopt()


def restore(root: Any, step: int, tensors: dict[str, Tensor]) -> None:
    """Build the structure that a checkpoint needs, in a method just built by its recipe; `load_state` then fills it.

    Args:
        root: The method, placed.
        step: Steps done when the checkpoint was written.
        tensors: Its weights; they say which stages ended before their last step.

    Raises:
        ValueError: If the recorded lists among the weights have gaps.
    """
    if able(root, Restores):
        _load_tapes(root, dict(tensors))
        root.restore(step)


def reunite(root: Any) -> None:
    """Give every process all the rows that they shared; every process must call this."""
    if sharing.world() > 1 and able(root, Shared):
        for name, part in list(parts(root)):
            if root.shared(name):
                _assign(root, name, sharing.all_rows(part))


def weights(root: Any) -> dict[str, Tensor]:
    """Every tensor that the model is made of, by dotted name: nets, averages, particles, recorded fields.

    Rows that several processes share are those of all of them, so that every process must call this.
    """
    tensors: dict[str, Tensor] = {}
    for name, part in parts(root):
        if isinstance(part, Learner):
            tensors |= {f"{name}.{key}": value for key, value in part.weights().items()}
        elif isinstance(part, Tensor):
            tensors[name] = part
    if sharing.world() > 1 and able(root, Shared):
        tensors |= {name: sharing.all_rows(tensor) for name, tensor in tensors.items() if root.shared(name)}
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def resume_state(root: Any) -> dict[str, Any]:
    """What only a continued run needs: optimisers, update counts, random states."""
    state: dict[str, Any] = {}
    for name, part in parts(root):
        if isinstance(part, Learner):
            state[name] = part.resume_state()
        elif not isinstance(part, Tensor):
            state[name] = part.state_dict()
    return state


def load_state(
    root: Any, tensors: dict[str, Tensor], state: dict[str, Any] | None = None, *, lacking: tuple[str, ...] = ()
) -> None:
    """Put weights, and where given the state of training, back into a method built by the same recipe.

    Args:
        root: The method.
        tensors: Its weights.
        state: Its state of training.
        lacking: Ends of the names of tensors that they may lack, and which then stay as wiring made them: checkpoints
            of earlier versions left out some that are computed from the data.

    Raises:
        ValueError: If a tensor is missing, has another shape, or belongs nowhere; or a state is missing or none.
    """
    left = dict(tensors)
    if sharing.world() > 1 and able(root, Shared):
        left |= {name: sharing.own_rows(tensor) for name, tensor in left.items() if root.shared(name)}
    for name, part in list(parts(root)):
        if isinstance(part, Learner):
            mine = {key: left.pop(f"{name}.{key}", None) for key in part.weights()}
            if missing := [key for key, value in mine.items() if value is None]:
                raise ValueError(f"no tensor {name}.{missing[0]} among the weights")
            try:
                part.load_state_dict({key: value for key, value in mine.items() if value is not None})
            except RuntimeError as error:
                if of_memory(error):
                    raise
                raise ValueError(f"{name}: {' '.join(str(error).split())}") from error
            if state is not None:
                part.load_resume_state(_stored(state, name))
        elif isinstance(part, Tensor):
            stored = left.pop(name, None)
            if stored is None and name.endswith(lacking):
                continue
            if stored is None or stored.shape != part.shape:
                found = "missing" if stored is None else f"of shape {tuple(stored.shape)}"
                raise ValueError(f"tensor {name} should have shape {tuple(part.shape)} but is {found}")
            _assign(root, name, stored.to(part))
        elif state is not None:
            part.load_state_dict(_stored(state, name))
    _load_tapes(root, left)
    if left:
        raise ValueError(f"tensor {next(iter(left))} belongs to no part of this method")


def _stored(state: dict[str, Any], name: str) -> dict[str, Any]:
    """The stored state of a part.

    Raises:
        ValueError: If there is none, or it is no dictionary.
    """
    found = state.get(name)
    if not isinstance(found, dict):
        raise ValueError(f"the state of {name} is {found!r:.40}, not a dictionary")
    return found


def _blank(node: Any) -> bool:
    """Whether something is a list that nothing has been recorded in yet."""
    return isinstance(node, list) and not node


def _device(root: Any) -> torch.device:
    """Where the first tensor or learner of a method lives."""
    for _, part in parts(root):
        if isinstance(part, Tensor):
            return part.device
        if isinstance(part, Learner):
            return part.placement.device
    return torch.device("cpu")


def _load_tapes(root: Any, left: dict[str, Tensor]) -> None:
    """Fill empty lists of tensor dictionaries (recorded fields, a scheme's memory) from names `list.k.key`."""
    device = _device(root)
    for place, tape in [(name, node) for name, node in _nodes(root) if _blank(node)]:
        pattern = re.compile(rf"{re.escape(place)}\.(\d+)\.(.+)")
        entries = [(name, *match.groups()) for name in left if (match := pattern.fullmatch(name))]
        tape += [{} for _ in {k for _, k, _ in entries}]
        for name, k, key in entries:
            if int(k) >= len(tape):
                raise ValueError(f"tensor {name} follows a gap in the recorded fields")
            tape[int(k)][key] = moved(left.pop(name), device)
        if tape and not _whole(tape):
            raise ValueError(f"the recorded fields {place} do not all hold the same tensors")


def _whole(tape: list[dict[str, Tensor]]) -> bool:
    """Whether entries hold the same tensors, or those of as many stages as each had, as `stage.key`.

    A scheme of several steps begins with one of several stages, so that its first entries hold more than later ones.
    """
    if all(entry.keys() == tape[0].keys() for entry in tape):
        return True
    stages: dict[tuple[int, str], set[str]] = {}
    for k, entry in enumerate(tape):
        for name in entry:
            stage, _, key = name.partition(".")
            stages.setdefault((k, stage), set()).add(key)
    return all((k, "0") in stages for k in range(len(tape))) and len(set(map(frozenset, stages.values()))) == 1


def _assign(root: Any, name: str, value: Tensor) -> None:
    """Put a tensor where its dotted name leads: into a field, a list, or a dictionary, whose keys may hold dots."""
    *path, last = name.split(".")
    while path and not isinstance(root, dict):
        key = path.pop(0)
        root = root[int(key)] if isinstance(root, list | tuple) else getattr(root, key)
    if isinstance(root, dict):
        root[".".join([*path, last])] = value
    elif isinstance(root, list):
        root[int(last)] = value
    else:
        setattr(root, last, value)
