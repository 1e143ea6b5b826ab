# %% [markdown]
# # Judge a synthetic table
#
# Somebody hands you a synthetic table. Is it any good? Three of them are judged here, and each is good in its own way:
# one has the right means and correlations, one has every column exactly right, one is told apart by no test.
#
# ```sh
# python examples/judge_table.py            # ten seconds on one core
# python examples/judge_table.py --quick    # seconds, with fewer relabellings
# ```

# %%
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

from pushforward import evaluate

quick = "--quick" in sys.argv[1:]

# %% [markdown]
# 178 wines, 13 measurements. Half of the table is what the synthesisers were given, the other half is held out.

# %%
wine = load_wine()
train, real = train_test_split(wine.data, test_size=0.5, random_state=0)
rng = np.random.default_rng(0)
synthetic = {
    "a normal law": rng.multivariate_normal(train.mean(0), np.cov(train.T), len(train)),
    "columns shuffled": np.stack([rng.permutation(column) for column in train.T], 1),
    "copies with jitter": train + rng.normal(0, 0.02, train.shape) * train.std(0),
}
folder = Path(tempfile.mkdtemp())
for name, rows in {"train": train, "real": real, **synthetic}.items():
    header = ",".join(wine.feature_names)
    np.savetxt(folder / f"{name}.csv", rows, "%.3g", delimiter=",", header=header, comments="")

# %% [markdown]
# `evaluate` takes paths, data frames and arrays; tables may have numbers, classes and missing values. Columns are
# compared in standard deviations of the real table; each number stands beside its floor, the score of real rows against
# real rows.

# %%
for name in synthetic:
    tables = (str(folder / f"{part}.csv") for part in (name, "real", "train"))
    report = evaluate(*tables, permutations=99 if quick else 999)
    print(f"--- {name}")
    for what, measure in report.items():
        floor = "" if measure.floor is None else f"   floor {measure.floor:8.3g}"
        p = "" if measure.p is None else f"   p {measure.p:.3f}"
        print(f"{what:30} {measure.value:9.3g}{floor}{p}")
    print(report.verdict)
    for warning in report.warnings:
        print("warning:", warning)
    print()

# %% [markdown]
# How to read it: shuffled columns have every histogram right and no dependence, which the two-sample tests see. Copies
# pass every two-sample test, since they *are* data; only the comparison with the training table gives them away. So a
# table is good when the tests do not tell it apart **and** nothing says that it copies; with 89 rows even that means
# only "not worse than what 89 rows can show".
#
# ## What to try next
#
# - Your own: `pushforward evaluate --fake synthetic.csv --real held_out.csv --train train.csv --page page.html`.
# - A gate for a pipeline: `--fail-if 'p<0.01' copies` ends with exit code 1.
# - `FlowGenerator(random_state=0).fit(train).sample(len(real))` in the place of the three.
# - [What is measured, and how it is calibrated](../docs/evaluation.md).
