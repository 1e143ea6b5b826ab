"""Every number that is logged is explained, and one more is one entry of one table, or an attribute of a method."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest
import torch
from recipes.test_recipes import VARIANTS
from report.runs import FACTS, Page, make_run
from torch import Tensor

from pushforward.commands.training.watched import short
from pushforward.errors import TrainingError
from pushforward.methods.latent.in_code_space import InCodeSpace
from pushforward.recipes import RECIPES
from pushforward.report import write_report
from pushforward.settings.options import options_of
from pushforward.terms import MONITOR, TERMS, Term
from pushforward.training.facts import facts, own_terms, terms_of
from pushforward.training.loop import checked, train
from pushforward.training.run import Progress
from pushforward.types import Batch, Logs, Method

LEAST = {"width": 8, "steps": 3, "batch": 8, "particles": 20, "tracers": 4, "codec_steps": 2, "critic_steps": 1}


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_every_number_that_a_recipe_logs_in_any_stage_has_a_term(name, options):
    small = {option: value for option, value in LEAST.items() if option in options_of(RECIPES[name])}
    experiment = RECIPES[name](**small | options)
    long = 12 if "codec" in options_of(RECIPES[name]) else 2  # through every stage
    steps = islice(experiment.method.learn(experiment.batches), min(experiment.steps, long))
    seen = {key for logs in steps for key in logs}
    assert seen
    assert not seen - terms_of(experiment.method).keys()


def test_every_term_can_be_read_and_what_stands_beside_another_is_one_too():
    for name, term in TERMS.items():
        assert term.title
        assert "Healthy:" in term.reading
        assert term.remedy
        assert set(term.beside) <= TERMS.keys() - {name}
        assert all(TERMS[other].line for other in term.beside)
        assert not term.beside or term.line


def test_one_more_term_is_one_entry_that_the_page_the_bar_and_the_error_all_read(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(TERMS, "novel", Term("Novel number", "What it is. Healthy: low.", "turn it down", live=True))
    run = make_run(tmp_path / "run")
    text = Page(write_report([run])).text
    assert "Novel number" in text
    assert "What it is. Healthy: low." in text
    assert short(Progress(1, 2, 0.0, {"novel": 0.5, "ess": 1.0}, ""), TERMS) == "novel 0.5"
    with pytest.raises(TrainingError, match=r"step 7: novel is nan; turn it down"):
        checked({"novel": torch.tensor(float("nan"))}, 7)
    assert MONITOR in TERMS


@dataclass
class Explained:
    """A method from elsewhere, with a number of its own and a word on one that others have."""

    wrong: bool = False

    @property
    def terms(self) -> Mapping[str, Term]:
        return {
            "home": Term("Home made", "Healthy: 2.", "ask at home", live=True),
            "speed": Term("Pace", "Healthy: 0."),
        }

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        while True:
            yield {"home": torch.tensor(float("inf") if self.wrong else 2.0)}

    def sample(self, n: int, rng: object = None, labels: Tensor | None = None) -> Tensor:
        return torch.zeros(n, 2)


def inside(method: Method) -> Method:
    return InCodeSpace(RECIPES["toy_latent"](codec="pca:2").method.codec, method)  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("wrap", [lambda method: method, inside], ids=["alone", "in code space"])
def test_a_method_s_own_terms_reach_run_json_the_page_the_bar_and_the_error(tmp_path: Path, wrap):
    experiment = RECIPES["toy_particles"](steps=3)
    experiment.method = wrap(Explained())
    assert own_terms(experiment.method).keys() == {"home", "speed"}
    assert terms_of(experiment.method)["speed"].title == "Pace"
    assert TERMS["speed"].title != "Pace"
    stored = json.loads(json.dumps(facts(experiment)))
    run = make_run(tmp_path / "run", facts=FACTS | {"terms": stored["terms"]})
    (run / "log.jsonl").write_text('{"step": 1, "home": 2.0, "speed": 1.0}\n{"step": 2, "home": 2.0, "speed": 0.5}\n')
    text = Page(write_report([run])).text
    assert "Home made" in text
    assert "Pace" in text
    assert TERMS["speed"].title not in text
    assert short(Progress(1, 2, 0.0, {"home": 2.0}, ""), terms_of(experiment.method)) == "home 2"
    experiment.method = Explained(wrong=True)
    with pytest.raises(TrainingError, match="step 1: home is inf; ask at home"):
        next(train(experiment))
