"""Marks between thousands are notation: a table is compared for its numbers, whichever side writes them how."""

import numpy as np
import pytest

from pushforward import evaluate
from pushforward.data import as_pair, read_pair
from pushforward.errors import DataError

pandas = pytest.importorskip("pandas")
N = 120


def table(seed: int, n: int = N, digits: int = 0):
    """Prices from tens to ten thousands, and a number beside them."""
    rng = np.random.default_rng(seed)
    price = np.exp(rng.normal(7, 1, n)).round(digits)
    return pandas.DataFrame({"price": price.astype(int) if not digits else price, "x": rng.normal(size=n)})


def spelled(data, group: str, point: str = "."):
    """The same with marks between thousands."""
    marks = str.maketrans({",": group, ".": point})
    text = [f"{value:,}".translate(marks) for value in data["price"]]
    return data.assign(price=text)


def saved(data, path, **how) -> str:
    data.to_csv(path, index=False, **how)
    return str(path)


FILES = {
    "commas": (".csv", {}),
    "tabs": (".tsv", {"sep": "\t"}),
    "semicolons": (".csv", {"sep": ";"}),
    "packed": (".csv.gz", {}),
    "bars": (".csv", {"sep": "|"}),
}
MARKS = [",", "'", "\N{RIGHT SINGLE QUOTATION MARK}", " ", "\u00a0", "\u202f", "\u2009"]


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("roles", [("fake",), ("real",), ("train",), ("fake", "real"), ("fake", "real", "train")])
def test_thousands_are_numbers_whichever_sets_separate_them(mark, roles, tmp_path):
    sets = {role: table(k) for k, role in enumerate(("fake", "real", "train"))}
    expected = as_pair(**sets)
    paths = {role: saved(spelled(data, mark) if role in roles else data, tmp_path / f"{role}.csv")
             for role, data in sets.items()}  # fmt: skip
    pair = read_pair(**paths)
    assert pair.names == expected.names == ("price", "x")
    for role in ("fake", "real", "train"):
        np.testing.assert_array_equal(getattr(pair, role), getattr(expected, role))
    said = [note for note in pair.notes if "between thousands" in note]
    assert len(said) == 1
    assert said[0].startswith(f"{' and '.join(roles)}: ")
    assert said[0].endswith(": price")
    assert pair.findings == expected.findings


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("way", [(",", "."), (".", ","), ("'", ","), (" ", ",")])
@pytest.mark.parametrize("digits", [0, 2])
def test_every_file_and_either_decimal_mark_give_the_same(form, way, digits, tmp_path):
    digits = digits or 2 * (way == (".", ","))  # points alone are decimals
    fake, real, (ending, how) = table(0, digits=digits), table(1, digits=digits), FILES[form]
    expected = as_pair(fake, real)
    plain = saved(real, tmp_path / "p.csv")
    pair = read_pair(saved(spelled(fake, *way), tmp_path / f"q{ending}", **how), plain)
    np.testing.assert_array_equal(pair.fake, expected.fake)
    pair = read_pair(plain, saved(spelled(fake, *way), tmp_path / f"q{ending}", **how))
    np.testing.assert_array_equal(pair.real, expected.fake)
    both = [saved(spelled(x, *way), tmp_path / f"{k}{ending}", **how) for k, x in enumerate((fake, real))]
    np.testing.assert_array_equal(read_pair(*both).fake, expected.fake)


def test_frames_of_text_are_read_the_same():
    fake, real = table(0), table(1)
    expected = as_pair(fake, real)
    for pair in (as_pair(spelled(fake, ","), real), as_pair(spelled(fake, ",").astype("category"), real)):
        np.testing.assert_array_equal(pair.fake, expected.fake)


def test_the_verdict_and_the_json_are_those_of_plain_numbers(tmp_path):
    fake, real = table(0), table(1)
    names = [saved(fake, tmp_path / "q.csv"), saved(real, tmp_path / "p.csv")]
    expected = evaluate(*names, metrics="mmd", permutations=99)
    found = evaluate(saved(spelled(fake, ","), tmp_path / "s.csv"), names[1], metrics="mmd", permutations=99)
    assert found["mmd"].value == expected["mmd"].value
    assert sum("between thousands" in note for note in found.as_dict()["notes"]) == 1


@pytest.mark.parametrize("both", [False, True])
def test_one_separated_cell_among_many_plain_ones_is_a_number(both, tmp_path):
    fake, real = table(0), table(1)
    expected = as_pair(fake, real)
    text = [str(value) for value in fake["price"]]
    row = int(np.argmax(fake["price"]))
    text[row] = f"{fake['price'][row]:,}"
    name = saved(fake.assign(price=text), tmp_path / "q.csv")
    other = saved(spelled(real, ",") if both else real, tmp_path / "p.csv")
    pair = read_pair(name, other)
    np.testing.assert_array_equal(pair.fake, expected.fake)
    np.testing.assert_array_equal(pair.real, expected.real)


@pytest.mark.parametrize("mark", [",", ";"])
def test_decimals_are_told_by_the_values_of_the_other_set(mark, tmp_path):
    rng = np.random.default_rng(0)
    weights = rng.uniform(1, 9, (2, N)).round(3)
    fake, real = (pandas.DataFrame({"kg": kg, "x": range(N)}) for kg in weights)
    text = [f"{kg:.3f}".replace(".", ",") for kg in fake["kg"]]
    name = saved(fake.assign(kg=text), tmp_path / "q.csv", sep=mark)
    pair = read_pair(name, saved(real, tmp_path / "p.csv"))
    np.testing.assert_array_equal(pair.fake[:, 0], weights[0])
    assert any("decimal commas are read as points" in note for note in pair.notes)


def test_whole_numbers_of_a_wide_range_are_told_by_their_decimals(tmp_path):
    rng = np.random.default_rng(0)
    counts = np.exp(rng.uniform(0, 11, (2, N))).astype(int)
    fake, real = (pandas.DataFrame({"price": n, "x": rng.normal(size=N)}) for n in counts)
    pair = read_pair(saved(spelled(fake, ","), tmp_path / "q.csv", sep=";"), saved(real, tmp_path / "p.csv"))
    np.testing.assert_array_equal(pair.fake[:, 0], counts[0])


def test_what_may_be_either_in_all_sets_is_one_up_to_a_unit_or_refused_with_the_remedy(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for name in ("q", "p"):
        text = [f"{a},{b:03d}" for a, b in zip(rng.integers(1, 9, N), rng.integers(0, 1000, N), strict=True)]
        paths.append(saved(pandas.DataFrame({"n": text, "x": rng.normal(size=N)}), tmp_path / f"{name}.csv"))
    pair = read_pair(*paths)
    assert pair.fake.shape == (N, 2)
    assert sum("may be either" in note for note in pair.notes) == 1
    few = [saved(pandas.DataFrame({"n": ["7", "1,234", "2,345"] * 5, "x": range(15)}), tmp_path / f"{k}.csv")
           for k in range(2)]  # fmt: skip
    with pytest.raises(DataError, match=r"'n' holds numbers such as '1,234'.*nothing between thousands"):
        read_pair(*few)


@pytest.mark.parametrize(
    "words",
    [
        ["1,2", "1,2,3", "2,3"],
        ["001,002", "003,004", "001,004"],
        ["1,234", "1,2,3", "7"],
        ["0 123", "5 123", "7 123"],
        ["1'2", "3'4", "5'6"],
        ["12 34", "56 78", "90 12"],
    ],
)
def test_lists_and_codes_stay_words(words, tmp_path):
    rng = np.random.default_rng(0)
    sets = [pandas.DataFrame({"code": rng.choice(words, N), "x": rng.normal(size=N)}) for _ in range(2)]
    pair = read_pair(*[saved(data, tmp_path / f"{k}.csv") for k, data in enumerate(sets)])
    assert pair.fields[0].kind == "category"
    assert pair.fields[0].levels == tuple(sorted(words))


def test_a_set_with_lists_that_look_like_numbers_is_one_of_words_where_the_others_are(tmp_path):
    rng = np.random.default_rng(0)
    words = ["1,2", "1,3", "2,3", "1,2,3"]
    sets = [pandas.DataFrame({"code": rng.choice(words[:k], N), "x": rng.normal(size=N)}) for k in (3, 4)]
    pair = read_pair(*[saved(data, tmp_path / f"{k}.csv") for k, data in enumerate(sets)])
    assert pair.fields[0].kind == "category"
    assert pair.fields[0].levels == tuple(sorted(words))


def test_points_alone_are_decimals_so_that_a_model_off_by_a_thousand_is_seen(tmp_path):
    fake, real = table(0), table(1)
    small = fake.assign(price=fake["price"] / 1000)
    pair = read_pair(saved(small, tmp_path / "q.csv", float_format="%.3f"), saved(real, tmp_path / "p.csv"))
    assert float(pair.fake[:, 0].max()) < 1000


def test_missing_cells_beside_separated_numbers_are_missing(tmp_path):
    fake, real = table(0), table(1)
    holes = spelled(fake, ",")
    holes.loc[:9, "price"] = None
    pair = read_pair(saved(holes, tmp_path / "q.csv"), saved(real, tmp_path / "p.csv"))
    assert pair.fields[0].missing == 2
    np.testing.assert_array_equal(pair.fake[10:, 0], fake["price"][10:])
    np.testing.assert_array_equal(pair.fake[:, 2] > 0, np.arange(N) < 10)
