"""Samples from anywhere against data from anywhere: one command, one verdict, one page, one exit code."""

import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pushforward import cli, evaluate
from pushforward.data.compare.pairs import as_pair, read_pair
from pushforward.errors import DataError, UsageError
from pushforward.evaluation import Settings, measure_pair, parts, space
from pushforward.metrics import PARTS, RAW, compare_scores, digits8, of_module
from pushforward.metrics.core.scale import fit_scale
from pushforward.metrics.suite import DEFAULT_POINTS


def call(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        cli.main(["evaluate", *map(str, words)])
    out, err = capsys.readouterr()
    return stop.value.code, out, err


def normal(n, dim, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (n, dim))


@pytest.fixture
def files(tmp_path):
    """Two samples of one law, one that is shifted, and a training set with copies of it."""
    names = {"good": normal(400, 3, 6), "real": normal(400, 3, 7), "bad": normal(400, 3, 8, 0.5)}
    names["train"] = normal(600, 3, 3)
    names["copies"] = names["train"][:400] + 1e-4 * normal(400, 3, 4)
    for name, x in names.items():
        np.save(tmp_path / f"{name}.npy", x)
    return tmp_path


def test_one_law_passes_a_gate_and_another_fails_it(files, capsys):
    words = ["--real", files / "real.npy", "--fail-if", "p<0.01", "--json", "--metrics", "mmd,energy,sliced_test,c2st"]
    code, out, _ = call(capsys, "--fake", files / "good.npy", *words)
    good = json.loads(out)
    assert (code, good["failed"]) == (0, [])
    assert good["verdict"].startswith("Not told apart")
    code, out, _ = call(capsys, "--fake", files / "bad.npy", *words)
    bad = json.loads(out)
    assert code == 1
    assert bad["failed"][0].startswith("smallest of 4 p after Holm")
    assert list(bad["metrics"]) == ["mmd", "energy", "sliced_test", "c2st"]


def test_a_gate_that_what_was_measured_cannot_answer_fails_and_the_report_is_there(files, tmp_path, capsys):
    page = tmp_path / "page.html"
    words = [
        "--fake",
        files / "good.npy",
        "--real",
        files / "real.npy",
        "--metrics",
        "sliced_w2,mmd,w2",
        "--page",
        page,
    ]
    gates = ["--fail-if", "mmd>2*floor", "sliced_w2.p<0.5"]
    code, out, err = call(capsys, *words, "--permutations", 99, *gates, "--json")
    found = json.loads(out)
    assert code == 1
    assert "gate sliced_w2.p" not in err
    assert [said.split(":")[0] for said in found["failed"]] == ["gate 'mmd>2*floor'", "gate 'sliced_w2.p<0.5'"]
    assert "has no p, but value, floor" in found["failed"][1]
    assert found["metrics"]["mmd"]["p"] > 0
    assert "sliced_w2.p" in page.read_text()


def test_numbers_of_a_few_given_samples_say_once_that_more_would_sharpen_them(files, capsys):
    words = ["--fake", files / "good.npy", "--real", files / "real.npy", "--metrics", "fd,mmd", "--features", "raw"]
    notes = [note for note in json.loads(call(capsys, *words, "--json")[1])["notes"] if "were given" in note]
    assert notes == [
        "the samples were given: more of them, and more rows of data, would sharpen FD, whose error is more than a "
        "fifth of the floor"
    ]


def test_copies_are_warned_of_and_can_be_gated(files, capsys):
    words = ["--real", files / "real.npy", "--train", files / "train.npy"]
    code, out, _ = call(capsys, "--fake", files / "copies.npy", *words, "--fail-if", "copying<-4", "p<0.01")
    assert code == 1
    assert "warning: The model copies" in out
    assert "gate failed: copying" in out
    assert "smallest of" not in out
    assert (
        call(capsys, "--fake", files / "copies.npy", *words, "--fail-if", "copies", "--metrics", "memorisation")[0] == 1
    )
    assert (
        call(capsys, "--fake", files / "good.npy", *words, "--fail-if", "copies", "--metrics", "memorisation")[0] == 0
    )
    assert call(capsys, "--fake", files / "good.npy", *words, "--fail-if", "copying<-4")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--metrics", "mdm"], "did you mean mmd"),
        (["--metrics", "memorisation"], "needs the training set"),
        (["--metrics", "score"], "needs a classifier"),
        (["--fail-if", "recal<1"], "did you mean recall"),
        (["--fail-if", "p=1"], "write NAME<NUMBER"),
        (["--features", "scaledd"], "did you mean scaled"),
        (["--features", "mnist_lenet"], "not images"),
        (["--features", "pca:x"], "as pca:50"),
        (["--features", "random:0"], "as random:50"),
        (["--features", "inception"], "inception:FILE"),
        (["--fail-if", "copies"], "--train"),
        (["--metrics", "w2", "--fail-if", "p<0.05"], "no test with a p-value is made"),
        (["--metrics", "w2", "--fail-if", "bad"], "no model would look bad"),
        (["--permutations", "0", "--metrics", "mmd,c2st", "--fail-if", "bad"], "no model would look bad"),
        (["--page", "page.png"], "page.html"),
        (["--max-n", "1"], "--max-n 1"),
        (["--seed", "-1"], "--seed -1"),
        (["--permutations", "5"], "--permutations 5"),
        (["--memory", "12"], "--memory 12"),
        (["--memory", "much"], "--memory much"),
    ],
)
def test_wrong_usage_is_refused_before_any_work(files, capsys, words, said, monkeypatch):
    monkeypatch.setattr("pushforward.evaluation.measure", lambda *a, **k: pytest.fail("measured"))
    if "needs" in said:
        monkeypatch.undo()  # what a part needs is known where it is measured, before the first part runs
    code, out, err = call(capsys, "--fake", files / "good.npy", "--real", files / "real.npy", *words)
    assert code == 2
    assert said in err
    assert out == ""
    assert len(err.strip().splitlines()) == 1


def test_a_page_shows_verdict_samples_numbers_and_command(files, capsys):
    page = files / "pages" / "page.html"
    words = ["--real", files / "real.npy", "--train", files / "train.npy", "--page", page, "--metrics", "default,tails"]
    assert call(capsys, "--fake", files / "copies.npy", *words)[0] == 0
    text = page.read_text()
    for wanted in ("The model copies", "coverage", "Samples and data", "Behind the numbers", "data:image/svg+xml"):
        assert wanted in text
    assert f"pushforward evaluate --fake {files / 'copies.npy'} --real" in text
    assert "<script src" not in text
    assert "http" not in text.split("</style>")[1].replace("http://www.w3.org", "")


def test_images_on_a_page_stand_beside_their_nearest_training_images(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("fake", "real", "train"):
        (tmp_path / name).mkdir()
        for k in range(40):
            Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8)).save(tmp_path / name / f"{k}.png")
    page = tmp_path / "page.html"
    where = [word for name in ("fake", "real", "train") for word in (f"--{name}", tmp_path / name)]
    assert call(capsys, *where, "--page", page, "--permutations", 19)[0] == 0
    assert "their nearest training images" in page.read_text()


def test_parts_are_listed_with_what_they_need(capsys):
    code, out, _ = call(capsys, "--metrics", "list")
    assert code == 0
    assert all(name in out for name in PARTS)


def test_arrays_tensors_and_frames_give_the_same_numbers(files):
    pandas = pytest.importorskip("pandas")
    q, p = np.load(files / "good.npy"), np.load(files / "real.npy")
    options = {"metrics": "mmd,sliced_w2", "features": "raw"}
    expected = evaluate(str(files / "good.npy"), files / "real.npy", **options)
    frames = [pandas.DataFrame(x, columns=list("abc")) for x in (q, p)]
    for pair in ((q, p), (torch.from_numpy(q), torch.from_numpy(p)), frames):
        found = evaluate(*pair, **options)
        assert [m.value for m in found.values()] == [m.value for m in expected.values()]
        assert [m.p for m in found.values()] == [m.p for m in expected.values()]


@pytest.mark.parametrize("roles", list(itertools.product([False, True], repeat=3))[1:-1])
@pytest.mark.parametrize("form", ["array", "tensor", "frame", "list"])
def test_paths_beside_objects_give_the_numbers_of_paths(files, roles, form):
    pandas = pytest.importorskip("pandas")
    forms = {"array": np.asarray, "tensor": torch.from_numpy, "frame": pandas.DataFrame, "list": np.ndarray.tolist}
    paths = [files / name for name in ("good.npy", "real.npy", "train.npy")]
    given = [forms[form](np.load(path)) if here else path for path, here in zip(paths, roles, strict=True)]
    options = {"metrics": "mmd,memorisation", "features": "raw", "permutations": 99}
    expected, found = evaluate(*paths, **options), evaluate(*given, **options)
    assert [(m.value, m.p) for m in found.values()] == [(m.value, m.p) for m in expected.values()]
    assert found.as_dict()["findings"] == expected.as_dict()["findings"]


def test_own_functions_and_own_networks_are_measures_like_any_other():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
    mine = of_module("mine", net, 4)
    found = evaluate(
        normal(80, 3, 0), normal(90, 3, 1), features=mine, metrics={"gap": lambda q, p: float(q.sum() - p.sum())}
    )
    assert found["gap"].features == mine.id
    report = evaluate(normal(80, 3, 0), normal(90, 3, 1), features=mine, metrics=[PARTS["fd"]])
    assert list(report) == [f"FD@{mine.id}"]


def test_scores_of_unlike_spaces_refuse_to_be_compared():
    q, p = normal(200, 3, 0), normal(200, 3, 1)
    raw, other = (evaluate(q, p, features=name, metrics="fd") for name in ("raw", "scaled"))
    (a,), (b,) = raw.values(), other.values()
    with pytest.raises(DataError, match="features raw and scaled"):
        compare_scores(a, b)
    (c,) = evaluate(normal(200, 3, 5), p, features="raw", metrics="fd").values()
    assert compare_scores(a, c)[0] == pytest.approx(a.value - c.value)
    (d,) = evaluate(normal(100, 3, 5), p, features="raw", metrics="fd").values()
    with pytest.raises(DataError, match="200 against 200 samples and 100"):
        compare_scores(a, d)


def test_unbiased_estimates_of_unlike_sizes_compare():
    p = normal(200, 3, 1)
    a, b = (next(iter(evaluate(normal(n, 3, 5), p, features="raw", metrics="kid").values())) for n in (100, 150))
    difference, error = compare_scores(a, b)
    assert abs(difference) < 5 * error


def test_tables_are_compared_in_widths_that_know_no_labels(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b", "train"):
        columns = rng.normal(0, 1e4, 200), rng.normal(0, 1e-3, 200), rng.choice(["u", "v"], 200)
        rows = [f"{x:.3f},{y:.6f},{c}" for x, y, c in zip(*columns)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["income,rate,kind", *rows]) + "\n")
    a, b, train = (str(tmp_path / f"{name}.csv") for name in ("a", "b", "train"))
    pair, swapped = read_pair(a, b), read_pair(b, a)
    features = space("auto", pair).features
    assert features.name == "scaled"
    values = features(torch.cat([pair.fake, pair.real]))
    assert fit_scale(values).width[:2].tolist() == pytest.approx([1, 1], rel=1e-6)
    level = torch.cdist(values[:, 2:], values[:, 2:]).unique()
    assert level.tolist() == pytest.approx([0, 1], abs=1e-7)
    assert torch.allclose(features(pair.real), space("auto", swapped).features(pair.real), rtol=1e-6)
    three = read_pair(a, b, train)
    assert three.train is not None
    values = space("auto", three).features(torch.cat([three.fake, three.real, three.train]))
    assert fit_scale(values).width[:2].tolist() == pytest.approx([1, 1], rel=1e-6)


@pytest.mark.parametrize("name", ["scaled", "pca:5", "random:16"])
def test_a_perfect_sampler_is_at_its_floors_in_every_fitted_space(name):
    """Spaces fitted to real alone made fresh data look as if they lost modes: recall .12 against .83."""
    fake, real = normal(300, 60, 0), normal(300, 60, 1)
    found = {n.split("@")[0]: m for n, m in evaluate(fake, real, features=name, metrics="manifold,fd").items()}
    for metric in ("precision", "recall", "coverage"):
        assert abs(found[metric].value - found[metric].floor) < 0.12
    assert found["FD"].value < 1.5 * found["FD"].floor


def test_metrics_are_named_listed_or_written_by_hand():
    def gap(q, p):
        return float(q.mean() - p.mean())

    q, p = normal(60, 2, 0), normal(60, 2, 1)
    assert list(evaluate(q, p, metrics=["MMD", PARTS["w2"], gap])) == ["mmd", "w2", "gap"]
    assert list(evaluate(q, p, metrics=gap)) == ["gap"]
    assert list(evaluate(q, p, metrics="FID, Recall", features="raw"))[:2] == ["FD@raw", "precision"]
    with pytest.raises(UsageError, match="metrics holds 3"):
        evaluate(q, p, metrics=[3])


def test_features_of_ones_own_may_be_a_function_or_a_network():
    q, p = normal(60, 3, 0), normal(60, 3, 1)

    def first(x):
        return x[:, :1]

    assert evaluate(q, p, features=first, metrics="w2")["w2@first"].value == pytest.approx(
        evaluate(q[:, :1], p[:, :1], metrics="w2")["w2"].value
    )
    assert next(iter(evaluate(q, p, features=nn.Linear(3, 2), metrics="w2"))).startswith("w2@Linear-")
    with pytest.raises(UsageError, match="features is 3"):
        evaluate(q, p, features=3)


def test_a_report_prints_as_its_table_and_verdict():
    text = str(evaluate(normal(60, 3, 6), normal(60, 3, 7), metrics="mmd,w2"))
    assert "floor" in text
    assert "Not told apart: 1 test" in text


def test_default_means_the_same_by_name_and_by_silence(files):
    pair = read_pair(str(files / "good.npy"), str(files / "real.npy"), str(files / "train.npy"))
    named = parts("default", pair, RAW)
    assert named == [part for part in DEFAULT_POINTS if not part.needs & {"centres", "support"}]
    silent = measure_pair(pair, space("auto", pair), None, Settings(permutations=19, max_n=50), title="x")
    spoken = measure_pair(pair, space("auto", pair), named, Settings(permutations=19, max_n=50), title="x")
    assert silent == spoken


def test_small_digits_are_judged_by_the_network_that_reads_them():
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8)).astype(np.uint8)
    assert space("auto", as_pair(images, images[::-1].copy())).features.id == digits8().id
    larger = np.zeros((30, 16, 16), np.uint8)
    larger[::2] = 255
    chosen = space("auto", as_pair(larger, larger.copy()))
    assert chosen.features is RAW
    assert "pixels" in chosen.notes[0]


def test_two_metrics_of_one_name_are_refused_also_beside_a_part():
    def mmd(fake, real):
        return 1.0

    x = torch.randn(30, 2)
    for metrics in (["mmd", mmd], [lambda q, p: 1.0, lambda q, p: 2.0]):
        with pytest.raises(UsageError, match=r"two metrics give .*: rename one"):
            evaluate(x, x, metrics=metrics)
