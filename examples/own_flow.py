# %% [markdown]
# # A flow of your own
#
# A flow answers samples q of the model and samples p of the data with a velocity. That is all that it needs for
# particles, generators and merges to obey it. Here is one in a dozen lines, checked against the law that every gradient
# flow obeys.
#
# ```sh
# python examples/own_flow.py            # some seconds on one core
# python examples/own_flow.py --quick
# ```

# %%
import sys
from dataclasses import dataclass

import torch
from sklearn.datasets import make_moons
from torch import Tensor

from pushforward import ParticleFlow, evaluate
from pushforward.types import Samples, Scalar, Velocity

quick = "--quick" in sys.argv[1:]

# %% [markdown]
# Waves of random frequencies see a difference between two samples in their means. Half the squared gap of these means,
#
#     F(q) = ½ |E_q φ - E_p φ|²,        φ(x) = √2 cos(Ωx + b) / √m,
#
# has the first variation h(x) = φ(x)·(E_q φ - E_p φ), and the velocity is v = -∇h.


# %%
@dataclass
class Waves:
    """Moves q until waves of random frequencies have the means that they have in the data."""

    frequencies: Tensor
    phases: Tensor

    def features(self, x: Samples) -> Tensor:
        return (2 / len(self.phases)) ** 0.5 * torch.cos(x @ self.frequencies + self.phases)

    def value(self, q: Samples, p: Samples) -> Scalar:
        return (self.features(q).mean(0) - self.features(p).mean(0)).square().sum() / 2

    def velocity(self, q: Samples, p: Samples) -> Velocity:
        gap = (self.features(q).mean(0) - self.features(p).mean(0)).detach()

        def field(x: Samples, t: float = 0.0) -> Samples:
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                (slope,) = torch.autograd.grad((self.features(x) @ gap).sum(), x)
            return -slope

        return field


rng = torch.Generator().manual_seed(0)
lengths = torch.logspace(-0.7, 0.5, 400)  # of the waves, in standard units: coarse ones carry, fine ones sharpen
waves = Waves(torch.randn(2, 400, generator=rng) / lengths, 2 * torch.pi * torch.rand(400, generator=rng))

# %% [markdown]
# The law: along the flow dF/dt = -E|v|². A sign or a factor that is wrong shows here, before anything is trained.

# %%
q, p = torch.randn(500, 2, generator=rng).double(), torch.randn(500, 2, generator=rng).double() + 1
exact = Waves(waves.frequencies.double(), waves.phases.double())
v, dt = exact.velocity(q, p)(q), 1e-4
rate = (exact.value(q + dt * v, p) - exact.value(q - dt * v, p)) / (2 * dt)
print(f"dF/dt {float(rate):.6f}   -E|v|² {-float(v.square().sum(1).mean()):.6f}")

# %% [markdown]
# Particles obey it without another line. `record=0`, since this flow keeps no record by which new points could follow.

# %%
data, _ = make_moons(1_000, noise=0.05, random_state=0)
train, held_out = data[:500], data[500:]
flow = ParticleFlow(flow=waves, steps=30 if quick else 400, step=2.0, record=0, random_state=0).fit(train)
report = evaluate(flow.particles_, held_out, train, permutations=99 if quick else 999)
for name, measure in report.items():
    floor = "" if measure.floor is None else f"   floor {measure.floor:.4g}"
    print(f"{name:32} {measure.value:10.4g}{floor}")
print(report.verdict)

# %% [markdown]
# ## What to try next
#
# - One length for all waves (`lengths = torch.full((400,), 1.0)`): the particles stop while the moons are still thick.
# - `snapshot()` and `replay(state)`, two more methods, and `transport` carries new points: see
#   [the flow of the maximum mean discrepancy](../src/pushforward/flows/mmd.py), which is this one with kernels.
# - The flows that are there already: [flows that train nothing](../docs/flows.md).
# - [How to add a part](../CONTRIBUTING.md), in a module of yours or here.
