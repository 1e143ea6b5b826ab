"""What was not looked for is unknown: the JSON says why, and a gate on it fails in place of passing in silence."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import anndata
import numpy as np
import pytest
import torch
from torch import Tensor

import pushforward
from pushforward.cli import main
from pushforward.commands.measuring.judging import judged
from pushforward.commands.watching import Until
from pushforward.data.compare import support
from pushforward.data.compare.pairs import as_pair
from pushforward.errors import DataError, OutOfTime, UsageError
from pushforward.metrics import Measure, Report, evaluate
from pushforward.metrics.copying.recurrence import EQUAL, OF_ROWS
from pushforward.metrics.core.part import Part
from pushforward.metrics.gates import parse_gate
from pushforward.metrics.suite import PARTS
from pushforward.plain.findings import FINDINGS, LeftOut

QUICK = [PARTS[name] for name in ("mmd", "manifold", "memorisation")]


def sets(n: int = 80, dim: int = 2) -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    return [torch.randn(n, dim, generator=g) for _ in range(3)]


class Refusing:
    """A watch that leaves no time for one part."""

    def __init__(self, name: str) -> None:
        self.name = name

    def begin(self, name: str, seconds: float) -> None:
        if name == self.name:
            raise OutOfTime("no time was left for it within --minutes")

    def tick(self, fraction: float) -> None:
        pass


def without(name: str) -> Report:
    fake, real, train = sets()
    return evaluate(fake, real, train=train, metrics=QUICK, watch=Refusing(name), permutations=99)


def failing(name: str) -> Report:
    """The same where a part fails, as for want of rows or of memory."""

    def run(_: object) -> dict[str, Measure]:
        raise DataError("too few rows for it")

    fake, real, train = sets()
    parts = [replace(part, run=run) if part.name == name else part for part in QUICK]
    return evaluate(fake, real, train=train, metrics=parts, permutations=99)


RESTS = {
    EQUAL: (*OF_ROWS, "bad", "doubtful"),
    "mmd": ("mmd.p<0.05", "mmd>1", "p<0.05", "bad", "doubtful"),
    "manifold": ("recall<0.1", "precision<0.1*floor"),
    "memorisation": ("copies", "split", "power", "authenticity<0.1", "bad", "doubtful"),
}
"""What cannot be known without a part."""


@pytest.mark.parametrize("left", [without, failing])
@pytest.mark.parametrize("name", RESTS)
def test_a_gate_on_what_was_left_out_does_not_pass_and_the_json_says_why(name, left):
    if (name, left) == (EQUAL, failing):
        pytest.skip("equal rows need no more than the samples")
    report, whole = left(name), without("nothing")
    stored = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    why = next(str(one) for one in report.left_out)
    assert why.startswith(f"{name} left out: ")
    assert why in stored["warnings"]
    for gate in RESTS[name]:
        assert parse_gate(gate).check(whole) is None
        with pytest.raises(UsageError, match=f"{name} left out: "):
            parse_gate(gate).check(report)
    for gate in {gate for gates in RESTS.values() for gate in gates} - set(RESTS[name]):
        assert parse_gate(gate).check(report) is None
    assert set(RESTS[name]) & FINDINGS.keys() <= stored["unknown"].keys()
    assert all(stored["unknown"][given] == why for given in (PARTS[name].gives if name in PARTS else OF_ROWS))


def test_a_gate_that_cannot_be_held_is_a_failed_one_of_the_command():
    fake, real, train = (x.numpy() for x in sets())
    pair = as_pair(fake, real, train)
    failed = judged(without(EQUAL), pair, [parse_gate("same")], "a against b", None, "").failed
    assert failed == (f"gate 'same' cannot be held: {EQUAL} left out: no time was left for it within --minutes",)


def test_a_time_limit_that_is_over_leaves_nothing_that_a_gate_could_pass():
    fake, real, train = sets()
    until = Until.of(1e-9)
    with pytest.raises(OutOfTime):
        evaluate(fake, real, train=train, watch=until)


def test_what_was_found_fails_a_gate_whatever_was_left_out():
    fake, real, train = sets()
    shifted = evaluate(fake + 3, real, train=train, metrics=QUICK, watch=Refusing("memorisation"), permutations=99)
    for gate in ("bad", "doubtful", "p<0.05"):
        assert parse_gate(gate).check(shifted)


def test_a_part_of_the_users_that_was_left_out_may_have_been_a_test():
    own = LeftOut("mine", "no time", ("mine",))
    clean = Report({"mmd": Measure(0.0, 0.0, p=0.5)}, left_out=(own,))
    for gate in ("p<0.05", "bad"):
        with pytest.raises(UsageError, match="mine left out"):
            parse_gate(gate).check(clean)
    assert parse_gate("copies").check(clean) is None


def test_findings_that_nothing_looks_for_are_unknown():
    fake, real, train = sets()
    arrays = pushforward.evaluate(fake.numpy(), real.numpy(), train.numpy(), metrics="mmd,memorisation")
    assert arrays.unknown == {}
    alone = pushforward.evaluate(fake.numpy(), real.numpy(), metrics="mmd")
    assert set(alone.unknown) == {"copies", "split", "power", "leak"}
    tensors = pushforward.evaluate(fake, real, train, metrics="mmd,memorisation")
    assert "pass arrays" in tensors.unknown["support"]
    bare = evaluate(fake, real, metrics=[PARTS["mmd"]])
    assert set(bare.unknown) == {"copies", "split", "power", "leak", "support", "form"}
    for report in (alone, tensors, bare):
        for gate in report.unknown:
            with pytest.raises(UsageError, match=f"gate '{gate}' cannot be held"):
                parse_gate(gate).check(report)
    for gate in FINDINGS:
        with pytest.raises(UsageError, match="give the whole report"):
            parse_gate(gate).check(dict(alone))


def test_a_floor_that_is_no_number_is_no_limit():
    for floor in (float("nan"), float("inf")):
        with pytest.raises(UsageError, match="no multiple of it is a limit"):
            parse_gate("w2>2*floor").check({"w2": Measure(1e9, floor)})


def test_a_gate_on_impossible_values_of_genes_is_refused_before_any_work(tmp_path, capsys):
    names = [f"g{k}" for k in range(6)]
    for file in ("q", "p"):
        cells = anndata.AnnData(np.random.default_rng(0).poisson(3.0, (60, 6)).astype(np.float32))
        cells.var_names = names
        cells.write_h5ad(tmp_path / f"{file}.h5ad")
    given = ["evaluate", "--fake", f"{tmp_path}/q.h5ad", "--real", f"{tmp_path}/p.h5ad", "--metrics", "mmd"]
    with pytest.raises(SystemExit) as stop:
        main([*given, "--fail-if", "support"])
    assert stop.value.code == 2
    assert "not looked for in genes" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_impossible_values_of_large_tables_are_found_in_a_part_of_the_rows(dtype, monkeypatch):
    rng = np.random.default_rng(0)
    draw = partial(rng.choice, [0.1, 0.5, 1.5, 2.7])
    fake, real = (np.column_stack([draw(6000), rng.normal(size=6000)]).astype(dtype) for _ in range(2))
    monkeypatch.setattr(support, "LARGE", 1 << 10)
    monkeypatch.setattr(support, "SEEN", 1 << 13)
    honest = as_pair(fake, real.astype(np.float64))
    assert not honest.findings
    assert honest.unsought == {}
    assert any("are looked for in 2,048 of 6,000 rows of fake" in note for note in honest.notes)
    fake[::20, 0] = -77
    (found,) = (one for one in as_pair(fake, real).findings if one.name == "support")
    assert found.against
    assert "-77" in found.words


def test_impossible_values_are_found_in_wide_tables_too():
    rng = np.random.default_rng(0)
    fake, real = (rng.normal(size=(200, 1500)) for _ in range(2))
    assert not as_pair(fake, real).findings
    fake[:20, 1400] = 1e6
    (found,) = as_pair(fake, real).findings
    assert (found.name, found.against) == ("support", True)


def test_a_part_says_which_findings_its_measures_are_looked_through_for():
    assert {name for part in PARTS.values() for name in part.finds} == {"copies", "split", "power"}
    assert isinstance(PARTS["memorisation"], Part)
    assert set(PARTS["memorisation"].answers) == {*PARTS["memorisation"].gives, "copies", "split", "power"}
