"""Train the bundled `digits8` network on scikit-learn's digits and print its SHA-256.

The released network is trained on all 1,797 images: a feature extractor should know every shape of a digit. `--folds 5`
first measures held-out accuracy with the same recipe. On one thread the result is the same for a given seed, processor
and torch release; another machine may round differently, so released weights are kept as a file and never retrained.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from classifying import Plan, accuracy, deterministic, fit, fresh, moved, parser
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from torch import Tensor
from torch.nn import functional as F

from pushforward.metrics.networks.digits8 import Digits8


def load() -> tuple[Tensor, Tensor]:
    """Images (1797, 1, 8, 8) in [-1, 1] and their labels (1797,)."""
    images, labels = load_digits(return_X_y=True)
    pixels = torch.from_numpy(images.astype(np.float32)) / 8.0 - 1.0
    return pixels.reshape(-1, 1, 8, 8).contiguous(), torch.from_numpy(labels).long()


def augment(x: Tensor, noise: float, rng: torch.Generator) -> Tensor:
    """Shift half of the images by at most one pixel, ground (-1) moving in, and add noise to all."""
    n = len(x)
    shift = torch.randint(0, 3, (n, 2), generator=rng)
    shift[torch.rand(n, generator=rng) < 0.5] = 1
    padded = F.pad(x, (1, 1, 1, 1), value=-1.0)
    shifted = moved(padded, shift[:, :1] + torch.arange(8), shift[:, 1:] + torch.arange(8))
    return shifted + noise * torch.randn(x.shape, generator=rng)


def train(x: Tensor, y: Tensor, plan: Plan) -> Digits8:
    """Fit a fresh network by AdamW."""
    network = fresh(Digits8, plan.seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02, fused=True)
    for _ in fit(lambda x, rng: network(augment(x, 0.1, rng)), x, y, optimiser, plan, warm=0.1):
        pass
    return network.eval()


def main() -> None:
    """Cross-validate on request, train on everything, save, print accuracy and SHA-256."""
    options = parser(__doc__, epochs=40)
    options.add_argument("--folds", type=int, default=0, help="measure held-out accuracy first; 0 skips it")
    options.add_argument("--out", type=Path, default=Path("digits8.safetensors"))
    args = options.parse_args()
    deterministic()
    plan = Plan(args.epochs, batch=64, seed=args.seed)
    x, y = load()
    if args.folds:
        folds = StratifiedKFold(args.folds, shuffle=True, random_state=args.seed)
        scores: list[float] = []
        for known, held in folds.split(np.zeros(len(y)), y.numpy()):
            scores.append(accuracy(train(x[known], y[known], plan), x[held], y[held]))
            print(f"fold {len(scores)}: held-out accuracy {scores[-1]:.4f}", flush=True)
        print(f"held-out accuracy {np.mean(scores):.4f} ± {np.std(scores):.4f}")
    network = train(x, y, plan)
    state = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    # One key: the order of several in the header, and with it the hash, would change from run to run.
    save_file(state, args.out, metadata={"pushforward": f"digits8; seed {args.seed}, epochs {args.epochs}"})
    digest = hashlib.sha256(args.out.read_bytes()).hexdigest()
    print(f"{args.out}: training accuracy {accuracy(network, x, y):.4f}, sha256 {digest}")


if __name__ == "__main__":
    main()
