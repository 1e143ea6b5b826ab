"""Cards may come from anywhere: what is wrong with one is said in one line, and nothing that it says is executed."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import torch
from exporting.test_export import exported, learned
from safetensors.torch import load, save

from pushforward.errors import DataError
from pushforward.exporting.layers import answered, built
from pushforward.exporting.loading import CARD, load_generator, of_bytes
from pushforward.training.checkpoint import digest_of

JUNK: tuple[object, ...] = (
    None, True, False, -1, 0, 1, 3, 2**40, 2**70, 1e300, 0.5, "", "linear", "os.system", [], [1], [0, 0],
    [2**30, 2**30], [-1e300, 1e300], ["a", "a"], {}, {"kind": "linear"}, {"law": "normal"}, [[]], [None] * 2000,
)  # fmt: skip


@pytest.fixture(scope="module", params=["points of classes", "convolutions", "codes of a perceptron"])
def good(request) -> bytes:
    """A file as it should be."""
    return exported(learned(request.param), "safetensors").content


def parts(content: bytes) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    size = int.from_bytes(content[:8], "little")
    return json.loads(json.loads(content[8 : 8 + size])["__metadata__"][CARD]), load(content)


def signed(card: object, tensors: dict[str, torch.Tensor]) -> bytes:
    """A file whose digest holds, whatever its card says."""
    header = {CARD: json.dumps(card)}
    return save(tensors, header | {"digest": digest_of(tensors, header)})


def places(card: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a card where something stands."""
    children: list[Any] = []
    if isinstance(card, dict | list):
        children = list(card) if isinstance(card, dict) else list(range(len(card)))
    for key in children:
        yield (*path, key)
        yield from places(card[key], (*path, key))  # pyright: ignore[reportIndexIssue]


def put(card: dict[str, Any], path: tuple[Any, ...], value: object) -> dict[str, Any]:
    made: Any = deepcopy(card)
    inside = made
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return made


def read(content: bytes) -> str:
    """What is said of a file; empty where it can be read and drawn from."""
    said = ""
    try:
        assert of_bytes("safetensors", content, "m.safetensors")(2).shape[0] == 2
    except DataError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 600
    return said


@pytest.mark.slow
def test_a_card_with_anything_anywhere_is_read_or_refused_in_one_line(good):
    card, tensors = parts(good)
    assert read(signed(card, tensors)) == ""
    refused, what = 0, {key: card[key] for key in ("format", "format_version", "interface", "architecture")}
    for path in places(what):
        for junk in JUNK:
            refused += bool(read(signed(put(card, path, junk), tensors)))
    assert refused > 100


def test_a_card_without_any_of_its_words_is_refused(good):
    card, tensors = parts(good)
    for path in places({key: card[key] for key in ("interface", "architecture", "format")}):
        made: Any = deepcopy(card)
        inside = made
        for key in path[:-1]:
            inside = inside[key]
        if (
            isinstance(inside, dict)
            and path[-2:-1] != ("samples",)
            and path[-1] not in ("samples", "mean", "deviation")
        ):
            del inside[path[-1]]
            optional = path in (("interface", "classes"), ("interface", "shares")) and not card["interface"]["classes"]
            assert bool(read(signed(made, tensors))) != optional, path


def test_tensors_of_another_shape_type_or_name_are_refused(good):
    card, tensors = parts(good)
    name = next(name for name in tensors if name.endswith("weight"))
    assert "disagree" in read(signed(card, tensors | {name: tensors[name].flatten()[:-1].clone()}))
    assert "float16" in read(signed(card, tensors | {name: tensors[name].half()}))
    assert "disagree" in read(signed(card, tensors | {"more": torch.zeros(1)}))
    assert "disagree" in read(signed(card, {key: value for key, value in tensors.items() if key != name}))


def test_an_altered_or_cut_file_is_refused(good):
    for k in (0, 3, 7, 9, 40, len(good) // 2, len(good) - 1):
        assert read(good[:k])
        assert read(good[:k] + bytes([good[k] ^ 1]) + good[k + 1 :])
    assert read(b"")


def test_a_map_that_would_fill_memory_is_refused_before_it_is_made():
    layers = [{"kind": "linear", "inputs": 1, "outputs": 1, "bias": False}, {"kind": "unflatten", "shape": [1, 1, 1]}]
    layers += [{"kind": "up", "width": 1, "norm": "none"}] * 20
    card = {
        "format": "pushforward generator",
        "format_version": 1,
        "interface": {"latents": {"law": "normal", "shape": [1]}, "classes": None, "event": [1, 4096, 4096]},
        "architecture": {"layers": layers, "embedding": 0, "box": None, "unit": {"kind": "columns"}},
    }
    assert "a map of (1, 8192, 8192)" in read(signed(card, {"a": torch.zeros(1)}))


def test_files_of_other_kinds_are_refused_in_one_line(tmp_path, good):
    for name, content in {
        "a.safetensors": save({"a": torch.zeros(1)}),
        "b.safetensors": b"nothing of the kind",
        "c.onnx": b"\x08\x07nothing of the kind",
        "d.pt": b"nothing of the kind",
        "e.zip": good,
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError) as said:
            load_generator(tmp_path / name, trust=True)
        assert "\n" not in str(said.value)
    with pytest.raises(DataError, match="no such file"):
        load_generator(tmp_path / "none.safetensors")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"holds no model\.safetensors"):
        load_generator(tmp_path / "folder")


def linear(inputs: int, outputs: int) -> dict:
    return {"kind": "linear", "inputs": inputs, "outputs": outputs, "bias": True}


@pytest.mark.parametrize("inner", [[linear(2, 1)], [linear(2, 30), {"kind": "unflatten", "shape": [6, 5]}]])
def test_layers_beside_a_normal_start_that_fit_by_broadcasting_alone_are_refused(inner):
    words = [{"kind": "normal_start", "inputs": 2, "outputs": 5, "layers": inner}]
    with torch.device("meta"):
        layers = built(words, "card")
        with pytest.raises(DataError, match=r"layer 0: its layers answer with .*, and it adds \(5,\)"):
            answered(layers, torch.zeros(6, 2), "card")


def test_layers_beside_a_normal_start_that_fit_are_taken():
    words = [{"kind": "normal_start", "inputs": 2, "outputs": 5, "layers": [linear(2, 5)]}]
    with torch.device("meta"):
        assert answered(built(words, "card"), torch.zeros(6, 2), "card") == (5,)
