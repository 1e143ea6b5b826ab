"""Every divergence's flow on the line, with the density carried along: D falls at every look, and q arrives at p."""

from __future__ import annotations

import torch
from laws.family import CALM, NEYMAN, REVERSE_KL, WEIGHTS, Pair, alpha, each_smooth, real

from pushforward.dynamics.velocity import Ascent

N, TIME, STRIDE = 40, 4.8, 3e-3
NORMAL = torch.distributions.Normal(real(0.0), real(1.0)).icdf((torch.arange(N, dtype=torch.float64) + 0.5) / N)
START = CALM | dict.fromkeys((REVERSE_KL, NEYMAN, alpha(-1)), Pair(0.2, 0.9))  # their weight all but stops in B's tails


@each_smooth
def test_divergence_falls_monotonically_and_the_model_arrives_at_the_data(divergence):
    """Ordered quantiles x move by w(d) d'; log q loses log(1 + s h'). Slopes are differences between neighbours."""
    pair = START[divergence]
    x = pair.mean + pair.std * NORMAL
    log_q, values = pair.log_q(x), []
    unit = WEIGHTS[divergence](real(0.0)).item()  # at equilibrium the flow is w(0) times as fast as that of KL
    s = STRIDE / unit
    for k in range(round(TIME / STRIDE)):
        d = pair.log_p(x) - log_q
        if k % 20 == 0:
            values.append((divergence.f((-d).exp()) * d.exp()).mean())
        (slope,) = torch.gradient(d, spacing=(x,), edge_order=2)
        h = Ascent(lambda y, d=d, slope=slope, x=x: d + slope * (y - x), divergence)(x)
        (stretch,) = torch.gradient(h, spacing=(x,))
        x, log_q = x + s * h, log_q - torch.log1p(s * stretch)
    fall = torch.stack(values).diff()
    assert (fall < 0).all()
    assert values[-1] < 1e-3 * values[0]
    assert (x.diff() > 0).all()
    assert (x - NORMAL).abs().mean().item() < 0.02
