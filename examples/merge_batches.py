# %% [markdown]
# # Merge two batches
#
# Two batches of cells that were measured on different days: one flows onto the other, which keeps every bit. A merge is
# easily made to look good, so its scores are printed before, after, and at their floor.
#
# ```sh
# python examples/merge_batches.py            # twenty seconds on one core
# python examples/merge_batches.py --quick    # seconds
# ```

# %%
import sys
import warnings

import anndata
import numpy as np
import pandas as pd

from pushforward import merge
from pushforward.merging import How

quick = "--quick" in sys.argv[1:]

# %% [markdown]
# Cells of two types in 10 genes. Monday is Tuesday with a shift and a stretch, and it has other shares of the types:
# the case where a merge without labels goes wrong, because it moves cells of one type onto another to even the shares.

# %%
rng = np.random.default_rng(0)
n, genes = (60 if quick else 400), 10
centres = rng.normal(0, 2, (2, genes))
monday, tuesday = np.arange(n) < 0.7 * n, np.arange(n) < 0.4 * n
there = centres[tuesday.astype(int)] + rng.normal(0, 1, (n, genes))
here = 1.2 * (centres[monday.astype(int)] + rng.normal(0, 1, (n, genes))) + rng.normal(0, 1.5, genes)
types = np.where(np.concatenate([monday, tuesday]), "B", "T")
kinds = pd.DataFrame({"day": ["monday"] * n + ["tuesday"] * n, "type": types})
kinds.index = kinds.index.astype(str)
cells = anndata.AnnData(np.concatenate([here, there]).astype(np.float32), obs=kinds)

# %% [markdown]
# With `label_key` each type moves by itself, and `How` holds every setting of the flow. The answer is written where
# scanpy looks for it: `obsm["X_gpa"]`.

# %%
how = How(steps=20, updates=1, width=16) if quick else How()
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    merge(cells, "day", target="tuesday", use_rep="X", label_key="type", how=how)
for warning in {str(warning.message) for warning in said if issubclass(warning.category, UserWarning)}:
    print("warning:", warning)

# %% [markdown]
# `floor` is what Tuesday scores when it is cut at random into two parts: nothing can be mixed better, and a number
# beyond it is a sign of cells that were squeezed onto each other.

# %%
scores = cells.uns["gpa"]["scores"]
print(f"{'':14}{'before':>10}{'after':>10}{'floor':>10}")
for name in scores["before"]:
    row = [scores[when].get(name) for when in ("before", "after", "floor")]
    print(f"{name:14}" + "".join(f"{'' if value is None else f'{value:.3f}':>10}" for value in row))
stayed = cells.obs["day"] == "tuesday"
print("Tuesday kept every bit:", bool((cells.obsm["X_gpa"][stayed] == cells.X[stayed]).all()))

# %% [markdown]
# How to read it: `ilisi`, `kbet` and the like say how well the days are mixed, the rest whether the types are still
# there. `kbet` holds each neighbourhood against the days' overall shares, which Monday's types do not have, so it stays
# below its floor, as it should; within the types, `kbet_label`, the days are mixed.
#
# ## What to try next
#
# - Leave `label_key` out: mixing still reaches its floor, and the scores of the types say what that cost.
# - Remove a type from Tuesday, and see where its cells go.
# - `n_boot=10` writes how sure the place of each cell is, `obsm["X_gpa_sd"]`.
# - From the command line, with a page of pictures:
#   `pushforward merge cells.h5ad --batch day --target tuesday --labels type --out merged.h5ad --page merge.html`.
# - [How it works, and what it does to real data](../docs/merging.md).
