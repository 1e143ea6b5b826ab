"""Stages do what one would do by hand, and a run that is cut off at any step goes on as if it had not been."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training.staged import ADAM, DATA, OTHER, Growing

from pushforward.codecs import Autoencoder
from pushforward.data import Batches, load
from pushforward.errors import DataError, UsageError
from pushforward.methods.latent.distilled import Distilled
from pushforward.methods.latent.in_code_space import InCodeSpace
from pushforward.methods.particles.driver import Particles
from pushforward.methods.particles.stopping import Until
from pushforward.methods.sources import normal
from pushforward.nets import autoencoder, mlp
from pushforward.parallel.placement import Placement
from pushforward.randomness import Noise, seeded
from pushforward.training import checkpoint
from pushforward.training.experiment import Experiment
from pushforward.training.folder.legs import fitting, stages_of
from pushforward.training.learner import Learner
from pushforward.training.loop import checked
from pushforward.training.run import Run, Stop
from pushforward.training.stages import Stage, Stages
from pushforward.training.state import load_state, parts, place, restore, resume_state, weights
from pushforward.types import Restores, Staged, able

STEPS = 11


def run(method: Any, steps: int, stream: Any = None, start: int = 0) -> list[dict[str, Tensor]]:
    return [logs for _, logs in zip(range(steps), method.learn(stream or Batches(DATA, 8, seed=2), start))]


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other))
    return one == other


def cut(build: Any, k: int, steps: int, stream: Any) -> tuple[Any, Any]:
    """A method and its stream after so many steps, killed after k of them and built anew with another seed."""
    first, position = build(0), stream()
    run(first, k, position)
    buffer = io.BytesIO()
    torch.save({"w": weights(first), "r": resume_state(first), "p": position.state_dict()}, buffer)
    buffer.seek(0)
    kept = torch.load(buffer, weights_only=True)
    second, position = build(9), stream()
    place(second, Placement())
    restore(second, k, kept["w"])
    load_state(second, kept["w"], kept["r"])
    position.load_state_dict(kept["p"])
    assert equal(weights(second), weights(first))
    run(second, steps - k, position, k)
    return second, position


@cache
def whole(build: Any, steps: int, stream: Any) -> tuple[Any, Any]:
    """A method and its stream after so many steps in one go, the same for every moment of a kill."""
    method, position = build(0), stream()
    run(method, steps, position)
    return method, position


def same(build: Any, k: int, steps: int, stream: Any) -> None:
    straight, end = whole(build, steps, stream)
    again, position = cut(build, k, steps, stream)
    assert equal(weights(again), weights(straight))
    assert equal(resume_state(again), resume_state(straight))
    assert position.state_dict() == end.state_dict()
    one, two = (method.sample(5, Noise(4, dtype=torch.float64)) for method in (again, straight))
    assert torch.equal(one, two)


def data() -> Batches:
    return Batches(DATA, 8, seed=2)


def test_three_stages_equal_running_them_by_hand():
    staged, hand, stream, other = Growing(), Growing(), data(), data()
    logs = run(staged, STEPS, stream)
    mine = [log for _, log in zip(range(3), hand.pull(other, 0))]
    hand.grow()
    hand.generator.adopt()
    hand.aim()
    mine += [log for _, log in zip(range(4), hand.against(hand.other, 0))]
    hand.rebuild()
    hand.aim()
    mine += [log for _, log in zip(range(4), hand.follow(other, 0))]
    assert equal(logs, mine)
    assert equal(weights(staged), weights(hand))
    assert stream.position == other.position == 7
    assert staged.other.position == 4


@pytest.mark.parametrize("k", range(STEPS + 1))
def test_a_kill_at_any_step_of_three_stages_with_growth_changes_nothing(k):
    same(Growing, k, STEPS, data)


TIRED = {n: partial(Growing, grown=50, tired=n) for n in (0, 2)}


@pytest.mark.parametrize("k", range(STEPS + 1))
@pytest.mark.parametrize("tired", TIRED)
def test_a_stage_that_ends_by_itself_hands_over_and_is_remembered(k, tired):
    same(TIRED[tired], k, STEPS, data)
    method = TIRED[tired]()
    logs = run(method, STEPS)
    assert sum("k" in log for log in logs) == tired
    assert method.stages.ended == [{"stage": torch.tensor(1), "step": torch.tensor(3 + tired)}]
    assert method.stages.steps is None


def in_code_space(seed: int) -> InCodeSpace:
    with seeded(seed):
        codec = Learner(autoencoder.perceptron(2, 2, width=4, depth=1).double(), ADAM)
    return InCodeSpace(Autoencoder(codec, 40), Growing(seed, 2, 2), 3, Batches(OTHER, 6, seed=1))


@pytest.mark.parametrize("k", range(10))
def test_stages_within_a_stage_are_resumed_too(k):
    same(in_code_space, k, 9, data)


def test_a_method_says_which_stage_did_its_last_step():
    method, names = in_code_space(0), []
    assert able(method, Staged)
    for _, _ in zip(range(9), method.learn(data())):
        names.append(method.stage)
    assert names == ["codec"] * 3 + ["small"] * 2 + ["grown"] * 2 + ["rebuilt"] * 2


@dataclass
class Pull:
    """v = p's mean - x, which can be written down."""

    at: Tensor = field(default_factory=lambda: torch.zeros(2, dtype=torch.float64))

    def velocity(self, q: Tensor, p: Tensor):
        self.at = p.mean(0)
        return self.replay(self.snapshot())

    def snapshot(self) -> dict[str, Tensor]:
        return {"at": self.at.clone()}

    def replay(self, state: dict[str, Tensor]):
        return lambda x, t=0.0: state["at"] - x


def distilled(seed: int, lessons: int = 50) -> Distilled:
    with seeded(seed):
        generator = Learner(mlp.generator(2, 2, width=8, depth=1).double(), ADAM, ema=0.9)
    starts = Noise(seed, dtype=torch.float64).normal(12, 2)
    until = Until(kinetic=0.5, window=2)
    teacher = Particles(Pull(), starts.clone(), 0.3, Noise(seed), record=True, until=until)
    rng = Noise(seed + 1, dtype=torch.float64)
    return Distilled(generator, starts, starts, normal(2), rng, batch=5, teacher=teacher, lessons=lessons)


@pytest.mark.parametrize("k", range(11))
def test_particles_that_stop_by_themselves_are_followed_by_their_pupil_at_whatever_step_one_is_cut_off(k):
    logs = run(distilled(0), 10)
    taught = sum("kinetic" in log for log in logs)
    assert 2 <= taught <= 8
    assert taught % 2 == 0
    same(distilled, k, 10, data)


def test_what_a_stage_begins_with_is_computed_from_what_was_learned_and_once():
    method = distilled(0, lessons=2)
    run(method, 2)
    before = method.ends
    run(method, 2, start=2)
    torch.testing.assert_close(method.ends, method.teacher.particles)
    assert not torch.equal(method.ends, before)
    method.ends = before
    run(method, 2, start=4)
    assert method.ends is before


def test_learners_that_a_stage_builds_or_grows_live_where_the_others_do():
    method = Growing()
    place(method, Placement(precision="bf16"))
    run(method, 4)
    found = {name: part for name, part in parts(method) if isinstance(part, Learner)}
    assert found.keys() == {"generator", "judge"}
    assert {part.placement.precision for part in found.values()} == {"bf16"}
    assert all(part.whole for part in found.values())


def test_restoring_builds_up_to_the_stage_of_the_last_step_and_only_once():
    built = []
    stages = Stages(
        tuple(
            Stage(name, steps, lambda batches, start: ({} for _ in batches), build=lambda name=name: built.append(name))
            for name, steps in {"a": 2, "b": 0, "c": 3, "d": None}.items()
        )
    )
    method = Growing()
    for step, wanted in {0: "", 1: "a", 2: "a", 3: "abc", 5: "abc", 6: "abcd", 60: "abcd"}.items():
        stages.restore(method, step)
        assert "".join(built) == wanted
    stages.restore(method, 60)
    assert "".join(built) == "abcd"
    with pytest.raises(UsageError, match="stage d was built already: make the method anew to learn from step 5"):
        stages.restore(method, 5)


def test_stages_of_no_steps_are_passed_through_and_those_with_an_end_end():
    def count(name: str):
        return lambda batches, start: ({name: torch.tensor(float(k))} for k in range(start, 100))

    begun = []
    stages = Stages((
        Stage("a", 0, count("a"), begin=lambda: begun.append("a")),
        Stage("b", 2, count("b"), begin=lambda: begun.append("b")),
        Stage("c", 0, count("c"), begin=lambda: begun.append("c")),
        Stage("d", 3, count("d"), begin=lambda: begun.append("d")),
    ))  # fmt: skip
    assert stages.steps == 5
    found = [(name, int(value)) for logs in stages.learn(Growing(), []) for name, value in logs.items()]
    assert found == [("b", 0), ("b", 1), ("d", 0), ("d", 1), ("d", 2)]
    assert begun == ["a", "b", "c", "d"]
    assert stages.stopped == ""
    for start in range(6):
        begun.clear()
        again = [(name, int(value)) for logs in stages.learn(Growing(), [], start) for name, value in logs.items()]
        assert again == found[start:]
        assert "".join(begun) == {0: "abcd", 1: "cd", 2: "cd"}.get(start, "")


def test_what_cannot_be_is_named():
    def nothing(batches, start):
        return iter(())

    with pytest.raises(UsageError, match=r"stages \(none\): give at least one"):
        Stages(())
    with pytest.raises(UsageError, match="stages a, a: give at least one, each with a name of its own"):
        Stages((Stage("a", 1, nothing), Stage("a", 1, nothing)))
    with pytest.raises(UsageError, match="stage a: -1 steps; give 0 or more"):
        Stages((Stage("a", -1, nothing),))


def experiment(seed: int, tired: int | None = None) -> Experiment:
    points = load("toy:moons", seed=0)
    return Experiment(Growing(seed, grown=50 if tired else 4, tired=tired), Batches(points.train.double(), 8), points,
                      STEPS)  # fmt: skip


def opened(folder: Path, seed: int, tired: int | None = None) -> Run:
    wired = experiment(seed, tired)
    description = {"recipe": "growing", "arguments": {}, "seed": 0, "step": 0, "steps": STEPS, "status": "running",
                   "best": None, "data": {"sha256": wired.data.split.sha256}, "options": {}}  # fmt: skip
    folder.mkdir(exist_ok=True)
    return Run(folder, description, wired, Placement(), every_save=1)


@pytest.mark.parametrize("tired", [None, 2], ids=["by count", "by itself"])
def test_a_run_in_a_folder_goes_on_from_any_checkpoint(tmp_path, tired):
    whole = opened(tmp_path / "whole", 0, tired)
    stages = [progress.stage for progress in whole.advance(Stop())]
    second = tired or 4
    assert stages == ["small"] * 3 + ["grown"] * second + ["rebuilt"] * (STEPS - 3 - second)
    wanted = checkpoint.load(tmp_path / "whole" / "checkpoints" / "last")
    for k in range(1, STEPS):
        folder = tmp_path / f"cut{k}"
        for progress in opened(folder, 0, tired).advance(Stop()):
            if progress.step == k:
                break
        again = opened(folder, 5, tired)
        again.resume(again.last())
        assert again.step == k
        for _ in again.advance(Stop()):
            pass
        found = checkpoint.load(folder / "checkpoints" / "last")
        assert found.run["status"] == "finished"
        assert equal(found.weights, wanted.weights)
        assert equal(found.resume["method"], wanted.resume["method"])
        assert equal(found.resume["batches"], wanted.resume["batches"])


def test_a_run_that_is_resumed_gets_back_either_checkpoint_that_a_kill_left_between_renamings(tmp_path):
    kept = tmp_path / "checkpoints"
    begun = opened(tmp_path, 0)
    for name in ("last", "best"):
        begun.save("running", name)
        (kept / name).rename(kept / f".{name}.old")
    again = opened(tmp_path, 0)
    again.resume(again.last())
    assert sorted(path.name for path in kept.iterdir()) == ["best", "last"]


def test_asking_whether_a_run_is_finished_writes_nothing(tmp_path):
    begun = opened(tmp_path, 0)
    begun.experiment.method.stages.stopped = "all done"
    before = dict(begun.description)
    assert begun.finished
    assert begun.description == before


@dataclass
class Recording:
    """A method whose records lie in containers.

    Attributes:
        tapes: A list of records in a tuple and one in a dictionary.
        kinds: A class, which is no part of the state.
    """

    tapes: tuple = field(default_factory=lambda: ([], {"inner": []}))
    kinds: type = Growing


def test_records_within_containers_are_found_as_other_parts_are():
    one, other = Recording(), Recording()
    one.tapes[0].append({"a": torch.ones(2)})
    one.tapes[1]["inner"].extend([{"b": torch.zeros(1)}, {"b": torch.ones(1)}])
    load_state(other, weights(one))
    assert equal(other.tapes, one.tapes)


def test_records_of_a_method_of_nets_alone_go_where_its_nets_live():
    @dataclass
    class Nets:
        net: Learner
        tape: list[dict[str, Tensor]] = field(default_factory=list)

    one, other = (Nets(Learner(torch.nn.Linear(1, 1), ADAM)) for _ in range(2))
    one.tape.append({"a": torch.ones(2)})
    stored = weights(one)
    place(other, Placement(torch.device("meta")))
    load_state(other, stored)
    assert other.tape[0]["a"].device.type == "meta"


def test_what_a_codec_is_like_is_said_once_however_often_a_run_is_cut():
    whole, cut = in_code_space(0), in_code_space(0)
    assert [k for k, logs in enumerate(run(whole, 5)) if "decoder" in logs] == [3]
    assert not any("decoder" in logs for logs in run(cut, 2, start=5))


def test_a_step_that_logs_nothing_is_a_step():
    assert checked({}, 1) == {}


def test_a_method_that_has_no_further_step_finishes_its_run(tmp_path):
    run_ = opened(tmp_path, 0)
    run_.experiment.method.stages = Stages(
        (Stage("few", 2, lambda batches, start: ({"a": torch.zeros(())} for _ in range(start, 2))),)
    )
    assert [progress.step for progress in run_.advance(Stop())] == [1, 2]
    assert run_.description["status"] == "finished"
    assert run_.description["ended"] == "the method had no further step"


def test_weights_of_another_stage_do_not_fit_and_say_so():
    method = Growing()
    run(method, 5)
    other = Growing()
    assert able(other, Restores)
    with pytest.raises(ValueError, match="generator"):
        load_state(other, weights(method))


def test_a_stage_that_stops_early_after_all_says_why_the_method_ended():
    def few(batches, start):
        return ({"a": torch.zeros(())} for _ in range(start, 2))

    stages = Stages((Stage("quick", 5, few), Stage("last", 3, lambda batches, start: repeat({}))))
    reasons = [stages.stopped for _ in stages.learn(Growing(), [])]
    assert reasons == [""] * 4 + ["all stages are done; ended by itself: quick"]


def test_stages_of_a_run_are_held_against_those_of_its_method_one_more_or_less_included():
    method, at = experiment(0).method, {"step": 5, "stage": "grown"}
    (now,) = stages_of(method)
    assert [name for name, _ in now] == ["small", "grown", "rebuilt"]
    for stages in (now, now[:2], [*now[:2], ["rebuilt", 9], ["more", 1]], [now[0], ["grown", 99]]):
        fitting(at | {"stages": [stages]}, method, STEPS)
    fitting(at | {"stages": [now, [["inner", 3]]]}, method, STEPS)
    for stages in ([["small", 2], *now[1:]], [["first", 1], *now]):
        with pytest.raises(UsageError, match="is over"):
            fitting(at | {"stages": [stages]}, method, STEPS)
    with pytest.raises(UsageError, match="did 5 steps"):
        fitting(at, method, 4)
    for stages in (3, [3], [[3]], [["abc"]], "abc", {"a": 1}):
        with pytest.raises(DataError, match="no table of them"):
            fitting(at | {"stages": stages}, method, STEPS)
