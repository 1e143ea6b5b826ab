"""The section on codes: what an evaluation kept of them comes back, is drawn where it lies, and harms no page."""

from __future__ import annotations

import io
import zipfile
from base64 import b64decode
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from report.runs import EVIL, Page, make_run

from pushforward.report import write_report
from pushforward.report.figures.codes import draw_classes, draw_density, draw_rates, draw_the_prior, plane_of
from pushforward.report.kept.codes import FILE, Account, Bound, Codes, Densities, Pictures, read_codes

RNG = np.random.default_rng(0)
NAN = float("nan")
N, M = 30, 20
FEW = Account(500, -1.0, 2.0, 0.25, 0.1, 2.25, -3.25, 0.125)
ACROSS, UP = np.linspace(-1, 1, 9), np.linspace(-2, 2, 7)
LEFT = np.exp(-((ACROSS[None] + 0.5) ** 2) - UP[:, None] ** 2)


def of(d: int, **more) -> Codes:
    middle = RNG.normal(size=(N, d)) * np.arange(d, 0, -1)
    own = {"rates": np.arange(d)[::-1] / 2, "told": np.arange(d)[::-1] / 4, "active": np.arange(d) < d - 1}
    whole = {"middle": middle, "drawn": middle + 0.1, "prior": RNG.normal(size=(M, d)), "account": FEW}
    return Codes(**{"step": 300} | own | whole | more)


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, np.uint8)


BOTH = Densities(ACROSS, UP, LEFT, LEFT[:, ::-1])
KNOWN = {"unit": "densities in data units", "active": np.ones(2, bool), "bound": Bound(256, -3.0, 0.2, "by 8 codes")}
POINTS = of(2, labels=np.arange(N) % 3, names=("a", "b", "c"), densities=BOTH, **KNOWN)
PICTURES = Pictures(pixels(8, 8, 8), pixels(8, 8, 8), pixels(4, 7, 8, 8), np.array([4, 0, 1, 2]), pixels(16, 8, 8))
SILENT = replace(FEW, marginal=NAN, error=NAN, divergence=NAN, elbo=NAN, spread=NAN)
IMAGES = of(5, pictures=PICTURES, flow="common", account=SILENT)
LEVELLED = of(2, account=replace(FEW, bits_back=0.75), unit="probabilities of levels")
BARE = of(1, active=np.array([False]), flow="own", account=replace(FEW, information=NAN, marginal=NAN, error=NAN))


def kept(folder: Path, codes: Codes) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / FILE).write_bytes(codes.content())
    return folder


def same(one: object, other: object) -> bool:
    if isinstance(other, np.ndarray):
        return one.dtype.kind == other.dtype.kind and np.allclose(one, other, rtol=1e-6)
    if isinstance(other, (Account, Densities, Pictures, Bound)):
        return all(same(getattr(one, own.name), getattr(other, own.name)) for own in fields(other))
    return one == other or (one != one and other != other)


@pytest.mark.parametrize("codes", [POINTS, IMAGES, BARE], ids=["points", "images", "bare"])
def test_what_is_kept_comes_back(tmp_path: Path, codes: Codes):
    found, damaged = read_codes(kept(tmp_path, codes))
    assert damaged == []
    assert found is not None
    for own in fields(Codes):
        assert same(getattr(found, own.name), getattr(codes, own.name)), own.name


def page(tmp_path: Path, codes: Codes | None) -> Page:
    run = make_run(tmp_path / "run")
    if codes is not None:
        kept(run / "samples", codes)
    return Page(write_report([run]))


def test_bits_back_stand_by_the_bound_where_rows_have_levels(tmp_path: Path):
    assert "Bits-back coding of a row takes 0.75 bits for each of its numbers." in page(tmp_path / "a", LEVELLED).text
    assert "Bits-back" not in page(tmp_path / "b", POINTS).text


def test_an_account_of_before_is_read_without_what_came_later(tmp_path: Path):
    folder = kept(tmp_path, POINTS)
    with np.load(folder / FILE) as file:
        arrays = dict(file)
    np.savez(folder / FILE, **(arrays | {"account": arrays["account"][:8]}))
    found, damaged = read_codes(folder)
    assert (found is not None, damaged) == (True, [])
    np.savez(folder / FILE, **(arrays | {"account": arrays["account"][:5]}))
    assert read_codes(folder) == (None, [FILE])


def test_only_a_run_with_codes_has_the_section_and_it_tells_where_the_bound_goes(tmp_path: Path):
    assert page(tmp_path / "none", None).all("h2", id="codes") == []
    text = page(tmp_path / "points", POINTS).text
    for words in ("500 held-out rows are told by, after step 300: 2 numbers of a code", "2 of 2 numbers are active",
                  "means over 500 held-out rows, densities in data units", "Reconstruction −1 ", "− information 2 ",
                  "at most log n = 6.215", "− marginal KL 0.25 ± 0.1", "= evidence lower bound −3.25 ± 0.12",
                  "the rate, 2.25", "Bound by many codes −3 ± 0.2 Of the first 256 rows, by 8 codes"):  # fmt: skip
        assert words in text


def test_what_is_not_known_is_said_with_the_reason(tmp_path: Path):
    text = page(tmp_path / "images", IMAGES).text
    assert "− marginal KL – Not known: the prior does not answer for its density" in text
    assert "= evidence lower bound – Reconstruction less both, which together are the rate." in text
    assert "taken through a flow; rates and active numbers are those of z0" in text
    text = page(tmp_path / "bare", BARE).text
    assert "− information – Not known: a flow that sees the row" in text
    assert "a flow that is told of the row" in text


def test_an_information_at_its_ceiling_says_that_more_rows_would_show_more(tmp_path: Path):
    words = "It has met its ceiling, log n = 6.215"
    assert words in page(tmp_path / "full", replace(POINTS, account=replace(FEW, information=6.0))).text
    assert words not in page(tmp_path / "free", POINTS).text


@pytest.mark.parametrize(("active", "grade"), [(0, "bad"), (1, "good"), (2, "good")])
def test_a_collapsed_posterior_is_said_to_have_collapsed(tmp_path: Path, active, grade):
    whole = page(tmp_path, replace(POINTS, active=np.arange(2) < active))
    assert f'<p class="status {grade}">' in whole.source[whole.source.index('id="codes"') :]
    assert ("The posterior has collapsed" in whole.text) == (active == 0)


def test_points_have_figures_with_densities_and_images_have_rows_of_pictures(tmp_path: Path):
    alt = [tag["alt"] or "" for tag in page(tmp_path / "points", POINTS).all("img") if tag["alt"]]
    for words in ("Where the middle", "A code drawn", "KL of each number", "Density of the prior",
                  "Density of the aggregated posterior"):  # fmt: skip
        assert sum(name.startswith(words) for name in alt) == 1
    whole = page(tmp_path / "images", IMAGES)
    (strip,) = whole.all("img", alt="Held-out images over what their codes are decoded to")
    shown = np.asarray(Image.open(io.BytesIO(b64decode((strip["src"] or "").partition(",")[2]))))
    scale = (shown.shape[1] + 2) // 8 - 2
    cells = [shown[top : top + scale : scale // 8, 3 * (scale + 2) :, 0] for top in (0, scale + 2)]
    for cell, images in zip(cells, (PICTURES.originals, PICTURES.reconstructions), strict=True):
        assert np.array_equal(cell[:, : scale : scale // 8], images[3])
    assert "A row for each of numbers 5, 1, 2, 3 of a code" in whole.text


def test_more_than_two_numbers_are_drawn_along_the_axes_in_which_the_middles_vary_most():
    wide = of(5)
    middle, drawn, prior = plane_of(wide)
    values = np.linalg.eigvalsh(np.cov(wide.middle.T))
    np.testing.assert_allclose(middle.var(0, ddof=1), values[[-1, -2]], rtol=1e-6)
    np.testing.assert_allclose(middle.mean(0), 0, atol=1e-9)
    assert (drawn.shape, prior.shape) == ((N, 2), (M, 2))
    np.testing.assert_allclose(drawn - middle, (drawn - middle)[:1].repeat(N, 0), atol=1e-9)
    assert plane_of(POINTS)[0] is POINTS.middle
    assert np.array_equal(plane_of(BARE)[0][:, 0], BARE.middle[:, 0])


def test_classes_have_colours_and_rows_lie_over_the_prior():
    axes = Figure().add_subplot()
    draw_classes(axes, POINTS)
    for k, line in enumerate(axes.get_lines()):
        np.testing.assert_allclose(line.get_xydata(), POINTS.middle[POINTS.labels == k])
        assert line.get_label() == POINTS.names[k]
    assert len({line.get_color() for line in axes.get_lines()}) == 3
    axes = Figure().add_subplot()
    draw_the_prior(axes, POINTS)
    below, above = axes.get_lines()
    np.testing.assert_allclose(below.get_xydata(), POINTS.prior)
    np.testing.assert_allclose(above.get_xydata(), POINTS.drawn)


def test_bars_stand_on_each_other_and_add_up_to_the_rates_the_largest_first():
    codes = of(4, rates=np.array([0.5, 2.0, 1.0, 0.25]), told=np.array([0.25, 1.5, 2.0, -0.1]))
    axes = Figure().add_subplot()
    draw_rates(axes, codes)
    bars = [(bar.get_y(), bar.get_height()) for bar in axes.patches]
    assert bars == [(0, 1.5), (0, 1.0), (0, 0.25), (0, 0.0), (1.5, 0.5), (1.0, 0.0), (0.25, 0.25), (0.0, 0.25)]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "3", "1", "4"]


def test_a_density_is_darkest_where_it_is_largest():
    axes = Figure().add_subplot()
    draw_density(axes, POINTS.densities, LEFT, float(LEFT.max()))
    (drawn,) = axes.collections
    darkest = [path for path in drawn.get_paths() if len(path.vertices)][-1].vertices.mean(0)
    assert darkest[0] == pytest.approx(-0.5, abs=0.1)
    assert darkest[1] == pytest.approx(0, abs=0.1)
    assert drawn.get_facecolors()[-1][3] > drawn.get_facecolors()[0][3]


def arrays(codes: Codes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(codes.content())) as found:
        return dict(found)


def npz(base: Codes, *, without: tuple[str, ...] = (), **changes) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{name: x for name, x in (arrays(base) | changes).items() if name not in without})
    return buffer.getvalue()


UNFIT = {
    "nothing": b"",
    "cut": POINTS.content()[:400],
    "no middles": npz(POINTS, without=("middle",)),
    "a pickle": npz(POINTS, names=np.array([{}], object)),
    "middles of words": npz(POINTS, middle=np.array([["a", "b"]])),
    "middles that are not finite": npz(POINTS, middle=np.full((N, 2), np.nan)),
    "draws of other codes": npz(POINTS, drawn=np.zeros((N, 3))),
    "a prior of other codes": npz(POINTS, prior=np.zeros((M, 3))),
    "no rows": npz(POINTS, middle=np.zeros((0, 2)), drawn=np.zeros((0, 2)), labels=np.zeros(0, int)),
    "no numbers": npz(POINTS, middle=np.zeros((N, 0)), drawn=np.zeros((N, 0)), prior=np.zeros((M, 0))),
    "rates of other codes": npz(POINTS, rates=np.zeros(3)),
    "a short account": npz(POINTS, account=np.zeros(3)),
    "an account of no rows": npz(POINTS, account=np.zeros(8)),
    "an account of NaN rows": npz(POINTS, account=np.full(8, np.nan)),
    "an unknown flow": npz(POINTS, flow="sideways"),
    "classes without names": npz(POINTS, labels=np.full(N, 3)),
    "classes of half the rows": npz(POINTS, labels=np.zeros(N // 2, int)),
    "a bound of two numbers": npz(POINTS, bound=np.zeros(2)),
    "a bound without its protocol": npz(POINTS, without=("protocol",)),
    "densities of another grid": npz(POINTS, prior_density=LEFT.T),
    "negative densities": npz(POINTS, prior_density=-LEFT),
    "a grid that falls": npz(POINTS, across=ACROSS[::-1]),
    "a grid of five numbers": npz(IMAGES, across=ACROSS, up=UP),
    "a huge grid": npz(POINTS, across=np.arange(5000.0), up=np.arange(2.0), prior_density=np.zeros((2, 5000))),
    "pictures of floats": npz(IMAGES, originals=np.zeros((8, 8, 8))),
    "pictures of five channels": npz(IMAGES, samples=np.zeros((8, 8, 8, 5), np.uint8)),
    "reconstructions of other sizes": npz(IMAGES, reconstructions=pixels(8, 4, 4)),
    "a walk along no number": npz(IMAGES, walked=np.array([5, 0, 1, 2])),
    "walks without numbers": npz(IMAGES, walked=np.array([0])),
    "no walks": npz(IMAGES, traversals=np.zeros((0, 7, 8, 8), np.uint8)),
    "a thousand pictures": npz(IMAGES, samples=np.zeros((1000, 8, 8), np.uint8)),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_damaged_file_is_named_and_the_page_stands(tmp_path: Path, name):
    run = make_run(tmp_path / "run")
    (run / "samples" / FILE).write_bytes(UNFIT[name])
    whole = Page(write_report([run]))
    assert f"samples/{FILE} could not be read and was left out" in whole.text
    assert whole.all("h2", id="codes") == []


HUGE = 3e38
STRANGE = {
    "far": replace(POINTS, middle=np.full((N, 2), HUGE), drawn=np.full((N, 2), -HUGE), prior=np.full((M, 2), HUGE)),
    "far in five": replace(of(5), middle=np.full((N, 5), HUGE)),
    "large rates": replace(POINTS, rates=np.full(2, HUGE), told=np.full(2, -HUGE)),
    "flat": replace(POINTS, densities=Densities(ACROSS, UP, 0 * LEFT, 0 * LEFT)),
    "no density": replace(POINTS, densities=Densities(ACROSS, UP)),
    "without end": replace(POINTS, account=Account(1, *[float("inf")] * 7), bound=Bound(1, NAN, NAN, "")),
    "one row": replace(POINTS, middle=np.zeros((1, 2)), drawn=np.zeros((1, 2)), labels=np.array([0])),
}


@pytest.mark.parametrize("name", STRANGE)
def test_numbers_that_no_run_has_are_drawn_as_far_as_they_can_be(tmp_path: Path, name):
    assert len(page(tmp_path, STRANGE[name]).all("h2", id="codes")) == 1


def test_a_file_that_would_fill_the_memory_is_not_opened(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / FILE, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(3):
            archive.writestr(f"x{k}.npy", b"\0" * 10**8)
    assert read_codes(tmp_path) == (None, [FILE])


def test_words_of_the_file_are_shown_as_words(tmp_path: Path):
    names, bound = (EVIL, "$x^$", "_c"), Bound(9, -1.0, 0.1, EVIL)
    whole = page(tmp_path, replace(POINTS, names=names, unit=EVIL, bound=bound))
    assert "<img src=x" not in whole.source
    assert "alert(1)" in whole.text
