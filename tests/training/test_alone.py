"""A run stands alone: what it gives does not need its data; what needs them says which part of them changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward import cli
from pushforward.commands.rebuilding import rebuild
from pushforward.data import source
from pushforward.data.kept.card import Card, card_file, read_card
from pushforward.data.kept.parts import Parts, told, told_of_files
from pushforward.data.raw import Raw
from pushforward.errors import DataError, UsageError
from pushforward.recipes import RECIPES
from pushforward.recipes.parts.checks import data_options
from pushforward.training import checkpoint

TABLE, ROUNDED, PICTURES, COUNTS = "points.npz", "rounded.npz", "pictures.npz", "counts.npz"
CLOUD = ["--particles", "30", "--batch", "20", "--width", "8", "--warmup", "2"]
NETS = ["--batch", "8", "--width", "8"]
IMAGES = [*NETS, "--latent", "4"]
PAIR = ["--particles", "30", "--width", "8", "--warmup", "2", "--source", "0", "--target", "1"]
CASES: dict[str, tuple[str, ...]] = {
    "toy_vgrow": (TABLE, "toy_vgrow", *NETS, "--conditional"),
    "toy_gan": (TABLE, "toy_gan", *NETS),
    "toy_particles": (TABLE, "toy_particles", *CLOUD, "--conditional"),
    "heavy_tails": (TABLE, "heavy_tails", *CLOUD, "--record"),
    **{
        f"flow_particles {name}": (TABLE, "flow_particles", *CLOUD[:4], "--record", "1", "--flow", name)
        for name in ("sinkhorn", "sliced", "mmd", "energy", "kale", "kernel_gpa", "drift")
    },
    "latent_particles": (TABLE, "latent_particles", "--codec", "pca:2", *CLOUD, "--conditional"),
    "latent_particles distilled": (
        PICTURES, "latent_particles", "--codec", "autoencoder:3", "--codec-steps", "3", *CLOUD, "--distil-steps", "3",
        "--limit", "60", "--codec-rows", "90", "--conditional",
    ),
    "toy_latent": (TABLE, "toy_latent", "--dim", "4", "--codec", "pca:2", *CLOUD),
    "toy_latent in data": (TABLE, "toy_latent", "--dim", "4", "--codec-steps", "3", *CLOUD, "--compare", "data"),
    "vgrow_images": (PICTURES, "vgrow_images", *IMAGES),
    "gan_images": (PICTURES, "gan_images", *IMAGES, "--conditional"),
    "bridge_toy": (TABLE, "bridge_toy", *NETS, "--conditional", "--ratio"),
    "bridge_toy distilled": (
        TABLE, "bridge_toy", *NETS, "--distil-steps", "3", "--refine-steps", "3", "--pairs", "20", "--pair-steps", "3",
    ),
    "density_toy": (TABLE, "density_toy", *NETS, "--conditional"),
    "density_diamonds": (ROUNDED, "density_diamonds", *NETS, "--flow", "maf"),
    "density_table": (ROUNDED, "density_table", *NETS, "--flow", "maf"),
    **{name: (PICTURES, name, *NETS) for name in ("bridge_images", "bridge_cifar", "bridge_portraits")},
    "score_images": (PICTURES, "score_images", *NETS, "--conditional"),
    "vae_toy": (TABLE, "vae_toy", *NETS),
    "vae_mnist": (PICTURES, "vae_mnist", *NETS, "--posterior", "maf", "--context", "2", "--binarise", "dynamic"),
    **{
        f"vae_mnist {prior}": (PICTURES, "vae_mnist", *NETS, "--prior", prior, *more)
        for prior, more in (("mixture", ("--components", "3")), ("vamp", ("--components", "3")), ("nsf", ()))
    },
    "vae_fashion": (PICTURES, "vae_fashion", *NETS, "--likelihood", "mixture", "--code", "3"),
    "vae_images": (PICTURES, "vae_images", *NETS, "--likelihood", "mixture", "--code", "3"),
    "vae_counts": (COUNTS, "vae_counts", *NETS, "--code", "3"),
    "vae_counts by batch": (COUNTS, "vae_counts", *NETS, "--labels", "y", "--conditional", "--posterior", "maf"),
    **{
        f"vae_latent {name}": (
            PICTURES, "vae_latent", *NETS, "--code", "3", "--learner", name, "--prior-steps", "3", "--prior-width", "8",
        )
        for name in ("score", "bridge", "vgrow", "particles")
    },
    "few_particles": (PICTURES, "few_particles", *NETS, "--particles", "30", "--warmup", "2"),
    "few_particles by class": (
        PICTURES, "few_particles", *NETS, "--particles", "30", "--warmup", "2", "--source", "class",
    ),
    "few_gan": (PICTURES, "few_gan", *IMAGES),
    "few_wgan_gp": (PICTURES, "few_wgan_gp", *IMAGES),
    "digit_to_digit": (PICTURES, "digit_to_digit", "--codec", "none", *PAIR),
    "digit_to_digit pca": (PICTURES, "digit_to_digit", "--codec", "pca:3", *PAIR),
    "digit_to_digit autoencoder": (
        PICTURES, "digit_to_digit", "--codec", "autoencoder:3", "--codec-steps", "3", *PAIR,
    ),
}  # fmt: skip
MADE = {
    "bridge_digits",
    "vae_digits",
    "vgrow_digits",
    "gaussian_particles",
    "four_modes",
    "swiss_roll",
    "sierpinski",
}  # of data that the library makes


def call(capsys, *words: object) -> tuple[int, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    return int(stop.value.code or 0), capsys.readouterr().err


def rows(seed: int = 0, n: int = 120) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32) * 3 + 1


def data(folder: Path) -> None:
    """Points, pictures and counts with classes."""
    rng = np.random.default_rng(0)
    np.savez(folder / TABLE, x=rows(), y=np.array(list("abc"))[rng.integers(3, size=120)])
    np.savez(folder / ROUNDED, x=rows().round(1))
    pixels = rng.integers(0, 256, size=(120, 8, 8)).astype(np.uint8)
    np.savez(folder / PICTURES, x=pixels, y=rng.integers(0, 3, size=120))
    np.savez(folder / COUNTS, x=rng.poisson(3, size=(120, 5)), y=rng.integers(0, 2, size=120))


def trained(capsys, folder: Path, name: str, *more: object) -> Path:
    place, recipe, *words = CASES[name]
    run = folder / "run"
    code, err = call(
        capsys, "train", recipe, "--data", f"{folder / place}:x", "--steps", 4, *words, "--run", run, *more
    )
    assert code == 0, err
    return run


def drawn(capsys, run: Path, to: Path, n: int = 9) -> dict[str, np.ndarray]:
    code, err = call(capsys, "sample", run, "-n", n, "--out", to)
    assert code == 0, err
    with np.load(to) as found:
        return dict(found)


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_every_recipe_that_reads_files_is_in_the_matrix():
    reads = {name for name, recipe in RECIPES.items() if data_options(recipe)}
    assert {words[1] for words in CASES.values()} == reads
    assert reads | MADE == set(RECIPES)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_without_its_data_a_run_gives_what_it_gave_before_and_later_it_goes_on(name, tmp_path, capsys):
    data(tmp_path)
    place, recipe = CASES[name][:2]
    whole = trained(capsys, tmp_path, name)
    final = checkpoint.load(whole / "checkpoints" / "last").weights
    shutil.rmtree(whole)
    run = trained(capsys, tmp_path, name, "--minutes", "0")  # one step, and stopped
    stopped = drawn(capsys, run, tmp_path / "a.npz")
    moved = tmp_path / "elsewhere.npz"
    (tmp_path / place).rename(moved)
    assert equal(drawn(capsys, run, tmp_path / "b.npz"), stopped)
    for words in (("evaluate", run), ("train", recipe, "--run", run, "--resume")):
        code, err = call(capsys, *words)
        assert (code, err.count("error:")) == (3, 1), err
        assert "--data" in err
    code, err = call(capsys, "train", recipe, "--run", run, "--resume", "--data", f"{moved}:x")
    assert code == 0, err
    resumed = checkpoint.load(run / "checkpoints" / "last").weights
    assert all(torch.equal(resumed[name], final[name]) for name in final)
    assert resumed.keys() >= final.keys()  # labels that two parts share are loaded into each
    after = drawn(capsys, run, tmp_path / "c.npz")
    moved.rename(tmp_path / "third.npz")
    assert equal(drawn(capsys, run, tmp_path / "d.npz"), after)
    assert call(capsys, "report", run)[0] == 0
    code, err = call(capsys, "evaluate", run, "--data", f"{tmp_path / 'third.npz'}:x")
    assert code == 0, err
    with np.load(tmp_path / "third.npz") as found:
        other = dict(found)
    other["x"] = other["x"][::-1]
    np.savez(moved, **other)
    for words in (("evaluate", run), ("train", recipe, "--run", run, "--resume")):
        code, err = call(capsys, *words)
        assert (code, err.count("\nerror:") + err.startswith("error:")) == (3, 1), err
        assert "changed since" in err
    assert equal(drawn(capsys, run, tmp_path / "e.npz"), after)


def test_a_card_holds_no_row_and_gives_the_same_data_set_back(tmp_path, capsys):
    data(tmp_path)
    run = trained(capsys, tmp_path, "toy_vgrow")
    own, loaded, _ = read_card(run)
    there = source.load(f"{tmp_path / TABLE}:x")
    for card in (own, loaded):
        assert card is not None
        back = card.dataset()
        assert back.hollow
        assert (back.event, back.classes, back.columns, back.split) == (
            there.event, there.classes, there.columns, there.split,
        )  # fmt: skip
        assert torch.equal(torch.bincount(back.train_labels), torch.bincount(there.train_labels))
        z = torch.randn(50, 2)
        assert np.array_equal(back.decode(z), there.decode(z))
        assert torch.equal(back.encode(rows()), there.encode(rows()))
        assert back.train.isnan().all()
        assert back.train.untyped_storage().nbytes() == 4
        assert back.log_volume == there.log_volume
    said = card_file(run).read_text()
    assert not any(f"{value:.5f}"[:7] in said for row in rows() for value in row)


def test_data_that_a_run_keeps_are_no_data_to_learn_from(tmp_path, capsys):
    data(tmp_path)
    run = trained(capsys, tmp_path, "toy_gan")
    code, err = call(capsys, "train", "toy_gan", "--data", f"kept:{run}", "--steps", 2, "--run", tmp_path / "other")
    assert (code, err.count("\n")) == (2, 1)
    assert "no rows" in err
    assert not (tmp_path / "other").exists()
    with pytest.raises(DataError, match="no run that keeps"):
        source.load(f"kept:{tmp_path}")


@pytest.mark.parametrize(
    "harm",
    [
        lambda card: card["data"].update(event=[3]),
        lambda card: card["data"]["unit"].update(shift=[1.0, float("inf")]),
        lambda card: card["data"]["unit"].update(scale="wide"),
        lambda card: card["data"].update(counts=[10**30]),
        lambda card: card["data"].update(counts=[1, 1, 1]),
        lambda card: card["data"]["split"].update(n_train=-1),
        lambda card: card["data"]["split"].update(extra=1),
        lambda card: card["data"].update(kind="sounds"),
        lambda card: card["data"].update(columns=[1, 2]),
        lambda card: card.update(data=[]),
        lambda card: card.pop("data"),
        lambda card: card.update(parts={"n": "x"}),
    ],
)
def test_a_crafted_card_is_refused_in_one_line(harm, tmp_path):
    np.savez(tmp_path / TABLE, x=rows(), y=np.arange(120) % 3)
    found = source.load(f"{tmp_path / TABLE}:x", labels="y")
    card = Card.of(found)
    assert card is not None
    assert found.origin is not None
    whole = {"data": card.as_dict(), "loaded": None, "parts": found.origin.parts.as_dict()}
    card_file(tmp_path).write_text(json.dumps(whole))
    read_card(tmp_path)
    harm(whole)
    card_file(tmp_path).write_text(json.dumps(whole))
    with pytest.raises(DataError) as stop:
        read_card(tmp_path)
    assert "\n" not in str(stop.value)


def test_a_card_of_another_run_is_refused(tmp_path, capsys):
    data(tmp_path)
    run = trained(capsys, tmp_path, "toy_gan")
    card_file(run).write_text(card_file(run).read_text().replace('"points"', '"points" '))
    with pytest.raises(DataError, match="not the one that the run was trained with"):
        rebuild(run)


def test_a_run_of_an_earlier_version_opens_with_its_data(tmp_path, capsys):
    data(tmp_path)
    run = trained(capsys, tmp_path, "flow_particles mmd")
    before = drawn(capsys, run, tmp_path / "a.npz")
    last = run / "checkpoints" / "last"
    saved, described = checkpoint.load(last), json.loads((run / "run.json").read_text())
    weights = {name: x for name, x in saved.weights.items() if name.split(".")[-1] != "length" and "paced" not in name}
    assert len(weights) == len(saved.weights) - 2
    said = {name: value for name, value in described["data"].items() if name not in ("card", "parts")}
    older = {name: value for name, value in described.items() if name not in ("legs", "stages")}
    older |= {"format": 2, "data": said}
    checkpoint.save(last, weights, saved.resume, older)
    card_file(run).unlink()
    (run / "run.json").write_text(json.dumps(older))
    assert equal(drawn(capsys, run, tmp_path / "b.npz"), before)
    code, err = call(capsys, "train", "flow_particles", "--run", run, "--resume", "--steps", 6)
    assert code == 0, err
    (tmp_path / TABLE).unlink()
    drawn(capsys, run, tmp_path / "c.npz")


def test_held_out_rows_that_changed_are_told_and_learning_goes_on(tmp_path, capsys):
    np.savez(tmp_path / TABLE, x_train=rows(), x_test=rows(1, 40))
    run, words = tmp_path / "run", ["toy_gan", "--data", f"{tmp_path / TABLE}:x_train", *NETS]
    assert call(capsys, "train", *words, "--steps", 4, "--minutes", 0, "--run", run)[0] == 0
    np.savez(tmp_path / TABLE, x_train=rows(), x_test=rows(2, 50))
    code, err = call(capsys, "evaluate", run, "--metrics", "mmd", "--json")
    assert code == 0, err
    assert "held-out" in json.loads((run / "metrics.json").read_text())["notes"][-1]
    code, err = call(capsys, "train", "toy_gan", "--run", run, "--resume")
    assert code == 0, err
    assert "test set of its own was altered; only held-out rows are others" in err
    described = json.loads((run / "run.json").read_text())
    assert described["legs"][-1]["data"] == ["the test set of its own was altered", "only held-out rows are others"]
    assert described["data"]["n_test"] == 50
    np.savez(tmp_path / TABLE, x_train=rows()[::-1], x_test=rows(2, 50))
    code, err = call(capsys, "train", "toy_gan", "--run", run, "--resume")
    assert code == 3
    assert "rows among" in err


def test_a_table_with_other_columns_says_which_and_the_remedy_works(tmp_path, capsys):
    table, run = tmp_path / "t.csv", tmp_path / "run"

    def write(*names: str, order: tuple[int, ...] = (0, 1)) -> None:
        lines = [",".join(names), *(",".join(f"{row[k]:.4f}" for k in order) for row in rows())]
        table.write_text("\n".join(lines) + "\n")

    write("a", "b")
    assert call(capsys, "train", "toy_gan", "--data", table, *NETS, "--steps", 3, "--minutes", 0, "--run", run)[0] == 0
    write("b", "a", order=(1, 0))
    code, err = call(capsys, "train", "toy_gan", "--run", run, "--resume", "--minutes", 0)
    assert code == 0, err
    assert "columns matched by name, in the order of the run: a, b" in err
    write("c", "a", order=(1, 0))
    code, err = call(capsys, "train", "toy_gan", "--run", run, "--resume", "--data", table)
    assert code == 3
    assert "column b is called c" in err
    remedy = err.split("in the order of the run, ")[1].strip()
    assert remedy == f"{table}:a,c"
    assert call(capsys, "train", "toy_gan", "--run", run, "--resume", "--data", remedy)[0] == 0
    write("a", "d")
    code, err = call(capsys, "evaluate", run, "--data", table, "--metrics", "mmd", "--json")
    assert code == 0, err
    assert "column c is called d" in (run / "metrics.json").read_text()


def test_carrying_points_needs_no_data_but_for_the_comparison(tmp_path, capsys):
    data(tmp_path)
    run = trained(capsys, tmp_path, "heavy_tails")
    np.save(tmp_path / "new.npy", rows(3, 30))
    words = ["transport", run, tmp_path / "new.npy", "--out"]
    assert call(capsys, *words, tmp_path / "a.npz")[0] == 0
    (tmp_path / TABLE).unlink()
    code, _ = call(capsys, *words, tmp_path / "b.npz")
    assert code == 0
    with np.load(tmp_path / "a.npz") as one, np.load(tmp_path / "b.npz") as other:
        assert equal(dict(one), dict(other))


def test_what_changed_is_told_by_rows_columns_labels_and_files():
    def parts(x: np.ndarray, names: tuple[str, ...] = ("a", "b"), labels: np.ndarray | None = None) -> Parts:
        return Parts.of(Raw("x", "points", x.astype(np.float64), columns=names, labels=labels))

    x = rows(0, 5000)
    y = x.copy()
    y[1000, 1] = 0
    assert told(parts(x), parts(x)) == []
    assert told(parts(x), parts(np.concatenate([x, rows(1, 7)]))) == ["7 rows added at the end"]
    assert told(parts(x), parts(x[:-300])) == ["300 rows gone at the end"]
    assert told(parts(x), parts(np.concatenate([x[:1], x]))) == ["1 row added from about row 0 on"]
    assert told(parts(x), parts(y)) == ["column b altered"]
    assert told(parts(x), parts(x, ("a", "c"))) == ["column b is called c"]
    assert told(parts(x), parts(x[:, ::-1], ("b", "a"))) == ["the columns stand in another order (b, a)"]
    assert told(parts(x), parts(x[:, :1], ("a",))) == ["column b gone"]
    labels = np.arange(5000) % 3
    assert told(parts(x, labels=labels), parts(x, labels=labels[::-1])) == ["the labels were altered"]
    many = rows(0, 200_000)
    assert told(parts(many), parts(np.concatenate([many, rows(1, 200_000)]))) == ["200000 rows added at the end"]
    assert len(parts(many).blocks) <= 128
    before = {"a/1.png": "10 x", "a/2.png": "10 y", "b/3.png": "10 z"}
    now = {"a/1.png": "10 x", "a/9.png": "10 y", "b/3.png": "11 w", "b/4.png": "9 v"}
    assert told_of_files(before, now) == [
        "1 file added (b/4.png)", "1 file altered (b/3.png)", "1 file renamed (a/9.png)",
    ]  # fmt: skip


def test_a_folder_of_pictures_says_which_files_changed(tmp_path, capsys):
    from PIL import Image

    photos, rng = tmp_path / "photos", np.random.default_rng(0)
    photos.mkdir()
    for k in range(14):
        Image.fromarray(rng.integers(0, 256, size=(8, 8)).astype(np.uint8)).save(photos / f"{k:02d}.png")
    run = tmp_path / "run"
    words = ["train", "gan_images", "--data", photos, *IMAGES, "--steps", 3, "--minutes", 0, "--run", run]
    assert call(capsys, *words)[0] == 0
    Image.fromarray(rng.integers(0, 256, size=(8, 8)).astype(np.uint8)).save(photos / "new.png")
    (photos / "03.png").unlink()
    code, err = call(capsys, "train", "gan_images", "--run", run, "--resume")
    assert code == 3
    assert "1 file added (new.png); 1 file gone (03.png)" in err
    shutil.rmtree(photos)
    drawn(capsys, run, tmp_path / "a.npz")


def test_rows_may_not_be_asked_of_two_places(tmp_path, capsys):
    code, err = call(capsys, "evaluate", "--fake", "toy:moons", "--real", "toy:moons", "--data", "x.npy")
    assert code == 2
    assert "goes with the folder of a run" in err
    with pytest.raises(UsageError):
        rebuild(tmp_path, "newest")


@pytest.mark.parametrize("harm", [{"block": -1}, {"n": -1}])
def test_digests_that_count_below_nothing_are_refused_before_they_are_counted_up(harm):
    kept = Parts.of(Raw("x", "points", np.zeros((300, 2)), columns=("a", "b"))).as_dict()
    with pytest.raises(DataError, match="holds no digests of data"):
        Parts.of_dict(kept | harm, "data.json")
