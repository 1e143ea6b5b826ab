"""What nets draw from torch's own generators while they learn comes again: it is a stream of seed, step and process."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

import torch

from pushforward.data import Batches
from pushforward.data.toys.plane import load
from pushforward.recipes.bridges import bridge_images
from pushforward.training.experiment import Experiment
from pushforward.training.loop import train
from pushforward.training.state import load_state, restore, resume_state, weights
from pushforward.types import Batch


class Dropping:
    """Learns nothing; each step says which of 16 places its dropout left."""

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[dict[str, torch.Tensor]]:
        """Numbers below 2^16."""
        del batches, start
        drop = torch.nn.Dropout(0.5)
        while True:
            yield {"left": ((drop(torch.ones(16)) > 0) * 2 ** torch.arange(16)).sum()}

    def sample(self, n: int, rng: object = None, labels: object = None) -> torch.Tensor:
        """Nothing in particular."""
        del rng, labels
        return torch.zeros(n, 2)


def left(start: int = 0, rank: int = 0, seed: int = 0) -> list[float]:
    data = load("ring8", n_train=40, n_test=20)
    steps = train(Experiment(Dropping(), Batches(data.train, 8), data, 6, seed=seed), start, rank)
    return [numbers["left"] for _, numbers in steps]


def test_dropout_is_the_same_whenever_a_run_was_stopped_and_another_with_each_seed_step_and_process():
    before, whole = torch.get_rng_state(), left()
    torch.rand(3)
    assert left() == whole
    assert left(4) == whole[4:]
    assert len({*whole, *left(rank=1), *left(seed=1)}) == 18  # of 65,536: two alike by chance in one case of 400
    torch.set_rng_state(before)
    left()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_net_with_dropout_goes_on_bit_for_bit():
    def made() -> Experiment:
        return bridge_images(data="digits", steps=4, batch=8, width=8, dropout=0.3)

    def state(one: Experiment) -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in weights(one.method).items()}

    whole, half, rest, other = made(), made(), made(), made()
    for _ in train(whole):
        pass
    for _ in islice(train(half), 2):
        pass
    restore(rest.method, 2, state(half))
    load_state(rest.method, state(half), resume_state(half.method))
    rest.batches.load_state_dict(half.batches.state_dict())
    for _ in train(rest, 2):
        pass
    for _ in train(replace(other, seed=1)):
        pass
    ends = [state(one) for one in (whole, rest, other)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert not all(torch.equal(ends[0][name], ends[2][name]) for name in ends[0])  # it is the dropout that is seen
