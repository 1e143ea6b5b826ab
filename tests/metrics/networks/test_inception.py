"""The Inception network of FID: its graph, its pools, its resize, and the seal on its weights."""

import hashlib
import re
from importlib import import_module

import pytest
import torch

from pushforward.errors import DataError
from pushforward.metrics.core.features import Features, blocked
from pushforward.metrics.networks.baselines import whitened
from pushforward.metrics.networks.inception import FILE, Inception, inception, is_true_inception, resize_tf1, to_levels

module = import_module("pushforward.metrics.networks.inception")  # its name in the package is the function

# Channels and side of every block for 299x299 images, by arithmetic: (side - kernel) // stride + 1 without padding.
SHAPES = {
    "Conv2d_1a_3x3": (32, 149), "Conv2d_2a_3x3": (32, 147), "Conv2d_2b_3x3": (64, 147), "Conv2d_3b_1x1": (80, 73),
    "Conv2d_4a_3x3": (192, 71), "Mixed_5b": (256, 35), "Mixed_5c": (288, 35), "Mixed_5d": (288, 35),
    "Mixed_6a": (768, 17), "Mixed_6b": (768, 17), "Mixed_6c": (768, 17), "Mixed_6d": (768, 17), "Mixed_6e": (768, 17),
    "Mixed_7a": (1280, 8), "Mixed_7b": (2048, 8), "Mixed_7c": (2048, 8),
}  # fmt: skip


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Inception().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def stored(network, tmp_path_factory):
    """Random weights in a file like the published one, in half precision to save time, and its hash prefix."""
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save({k: v.half() for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}, path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def test_every_block_has_the_shape_of_the_graph(network):
    seen = {}
    hooks = [
        block.register_forward_hook(lambda _, __, y, name=name: seen.update({name: tuple(y.shape)}))
        for name, block in network.named_children()
        if name != "fc"
    ]
    x = torch.rand(1, 3, 299, 299) * 255
    features = network.features(x)
    for hook in hooks:
        hook.remove()
    assert seen == {name: (1, width, side, side) for name, (width, side) in SHAPES.items()}
    assert list(seen) == list(SHAPES)
    assert features.shape == (1, 2048)
    assert network.fc.weight.shape == (1008, 2048)


def test_number_of_weights_is_that_of_the_graph_with_1008_classes(network):
    # 23,834,568 for 1000 classes without the auxiliary head, and eight more rows with their biases.
    assert sum(weight.numel() for weight in network.parameters()) == 23_834_568 + 8 * 2049


def test_names_are_those_of_the_published_file(network):
    names = {name for name in network.state_dict() if not name.endswith("num_batches_tracked")}
    assert len(names) == 94 * 5 + 2
    assert {name.partition(".")[0] for name in names} == {*SHAPES, "fc"}
    assert {name.rpartition(".")[2] for name in names} == {"weight", "bias", "running_mean", "running_var"}
    assert names > {
        "Conv2d_1a_3x3.conv.weight", "Conv2d_1a_3x3.bn.weight", "Conv2d_4a_3x3.bn.running_var", "fc.weight", "fc.bias",
        "Mixed_5b.branch1x1.conv.weight", "Mixed_5c.branch5x5_2.bn.bias", "Mixed_5d.branch3x3dbl_3.conv.weight",
        "Mixed_6a.branch3x3.conv.weight", "Mixed_6a.branch3x3dbl_3.bn.weight", "Mixed_6b.branch7x7_3.conv.weight",
        "Mixed_6e.branch7x7dbl_5.bn.running_mean", "Mixed_6c.branch_pool.conv.weight", "Mixed_7a.branch3x3_2.bn.bias",
        "Mixed_7a.branch7x7x3_4.conv.weight", "Mixed_7b.branch3x3_2a.conv.weight", "Mixed_7b.branch3x3_2b.bn.weight",
        "Mixed_7c.branch3x3dbl_3a.conv.weight", "Mixed_7c.branch3x3dbl_3b.conv.weight", "Mixed_7c.branch_pool.bn.bias",
    }  # fmt: skip
    assert not any("branch_pool" in name for name in names if name.startswith(("Mixed_6a", "Mixed_7a")))


def test_kernels_have_the_shapes_of_the_published_file(network):
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert shapes["Mixed_5b.branch5x5_2.conv.weight"] == (64, 48, 5, 5)
    assert shapes["Mixed_6b.branch7x7_2.conv.weight"] == (128, 128, 1, 7)
    assert shapes["Mixed_6b.branch7x7_3.conv.weight"] == (192, 128, 7, 1)
    assert shapes["Mixed_6d.branch7x7dbl_2.conv.weight"] == (160, 160, 7, 1)
    assert shapes["Mixed_6d.branch7x7dbl_5.conv.weight"] == (192, 160, 1, 7)
    assert shapes["Mixed_7a.branch7x7x3_2.conv.weight"] == (192, 192, 1, 7)
    assert shapes["Mixed_7b.branch3x3_2a.conv.weight"] == (384, 384, 1, 3)
    assert shapes["Mixed_7c.branch3x3dbl_1.conv.weight"] == (448, 2048, 1, 1)
    assert network.Mixed_5b.branch1x1.bn.eps == 1e-3


def test_mean_pool_leaves_the_padding_out():
    pool = module._Mixed(1, [], "mean")
    x = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    wanted = torch.tensor([[3, 3.5, 4], [4.5, 5, 5.5], [6, 6.5, 7]])  # e.g. (1 + 2 + 4 + 5) / 4 in the corner
    torch.testing.assert_close(pool(x)[0, 0], wanted, rtol=1e-6, atol=0)


def test_last_block_pools_by_maximum_and_its_twin_by_mean(network):
    spike = torch.zeros(1, 2048, 8, 8)
    spike[:, :, 0, 0] = 9.0
    pooled = module._pooled(spike, network.Mixed_7c.pool)[0, 0]
    assert pooled[:2, :2].tolist() == [[9, 9], [9, 9]]
    assert pooled.sum() == 4 * 9
    pooled = module._pooled(spike, network.Mixed_7b.pool)[0, 0]
    assert pooled[:2, :2].tolist() == [[9 / 4, 9 / 6], [9 / 6, 1]]
    means = {name for name, block in network.named_children() if getattr(block, "pool", None) == "mean"}
    assert means == {f"Mixed_{name}" for name in ("5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b")}


def test_branches_are_joined_in_the_order_of_the_graph_with_the_pool_last(network):
    block, x = network.Mixed_7c, torch.rand(1, 2048, 8, 8)
    y = block(x)
    torch.testing.assert_close(y[:, :320], block.branch1x1(x))
    fork = block.branch3x3_1(x)
    torch.testing.assert_close(y[:, 320:704], block.branch3x3_2a(fork))
    torch.testing.assert_close(y[:, 704:1088], block.branch3x3_2b(fork))
    torch.testing.assert_close(y[:, 1088:1472], block.branch3x3dbl_3a(block.branch3x3dbl_2(block.branch3x3dbl_1(x))))
    torch.testing.assert_close(y[:, 1856:], block.branch_pool(module.F.max_pool2d(x, 3, 1, 1)))


RESIZES = {
    (2, 4): ([0, 1], [0, 0.5, 1, 1]),  # sources 0, 0.5, 1, 1.5: beyond the last pixel it is repeated
    (3, 2): ([0, 3, 9], [0, 6]),  # sources 0, 1.5
    (4, 2): ([5, 7, 1, 3], [5, 1]),  # every other pixel: no antialiasing
    (2, 3): ([0, 3], [0, 2, 3]),  # sources 0, 2/3, 4/3
    (3, 3): ([4, 5, 6], [4, 5, 6]),
}


@pytest.mark.parametrize(("sizes", "values"), RESIZES.items(), ids=str)
def test_resize_takes_output_place_j_from_j_times_in_over_out(sizes, values):
    row, wanted = (torch.tensor(value, dtype=torch.float32) for value in values)
    n, side = sizes
    flat = row.expand(1, 1, n, n)
    torch.testing.assert_close(resize_tf1(flat, side), wanted.expand(1, 1, side, side), rtol=1e-6, atol=1e-6)
    tall = row[:, None].expand(1, 1, n, n)
    torch.testing.assert_close(resize_tf1(tall, side), wanted[:, None].expand(1, 1, side, side), rtol=1e-6, atol=1e-6)


def test_resize_of_two_by_two_is_the_table_made_by_hand():
    wanted = [[0, 0.5, 1, 1], [1, 1.5, 2, 2], [2, 2.5, 3, 3], [2, 2.5, 3, 3]]
    assert resize_tf1(torch.tensor([[[[0.0, 1], [2, 3]]]]), 4)[0, 0].tolist() == wanted


def test_levels_are_rounded_and_grey_becomes_three_channels():
    x = torch.tensor([-1.0, 1.0, 0.0, 2 * 200.6 / 255 - 1, 2 * 200.4 / 255 - 1, 1.04, -1.04, -0.5, 0.5])
    levels = to_levels(x.reshape(1, 1, 3, 3))
    assert levels.shape == (1, 3, 3, 3)
    assert levels[0, 2].flatten().tolist() == [0, 255, 128, 201, 200, 255, 0, 64, 191]
    whole = torch.arange(256).reshape(1, 1, 16, 16)
    assert to_levels(whole.float() / 127.5 - 1)[0, 0].equal(whole[0, 0].float())  # model units and back, exactly
    assert to_levels(whole.to(torch.uint8))[0, 1].equal(whole[0, 0].float())


def test_levels_enter_the_network_as_their_distance_from_128_in_units_of_128(network):
    seen = []
    hook = network.Conv2d_1a_3x3.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network.features(torch.tensor([0.0, 128, 255]).reshape(1, 3, 1, 1).expand(1, 3, 75, 75))
    hook.remove()
    assert seen[0][0, :, 7, 7].tolist() == [-1, 0, 127 / 128]


def test_images_in_other_units_or_shapes_are_refused():
    with pytest.raises(DataError, match=r"values in \[0, 255\].*\[-1, 1\]"):
        to_levels(torch.tensor([0.0, 255.0]).repeat(8).reshape(1, 1, 4, 4))
    for shape in ((2, 2, 8, 8), (2, 3, 8, 9), (2, 64)):
        with pytest.raises(DataError, match="square images"):
            to_levels(torch.zeros(shape, dtype=torch.uint8))


def test_another_file_is_refused_by_name_wanted_prefix_and_found_prefix(stored, tmp_path):
    path, prefix = stored
    with pytest.raises(
        DataError, match=rf"SHA-256 {prefix}.*wanted 6726825d.*{re.escape(FILE)}.*torch-fidelity"
    ) as caught:
        inception(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=rf"missing: take {re.escape(FILE)}"):
        inception(tmp_path / FILE)


def test_file_with_the_right_hash_becomes_the_feature_space(stored, network, monkeypatch):
    path, prefix = stored
    monkeypatch.setattr(module, "SHA256_PREFIX", prefix)
    space = inception(path)
    assert space.id == f"inception-{prefix}"
    assert is_true_inception(space)
    x = torch.rand(1, 1, 32, 32) * 2 - 1
    features, logits = space(x), blocked(space.classify, x)
    assert features.shape == (1, 2048)
    assert logits.shape == (1, 1008)
    weight = network.fc.weight.half().double()
    torch.testing.assert_close(logits, features @ weight.T, rtol=1e-4, atol=1e-5)  # no bias


def test_weights_of_another_network_are_refused_even_under_the_hash(tmp_path, monkeypatch):
    path = tmp_path / "other.pth"
    for state in ({"conv.weight": torch.zeros(2)}, [1, 2], {"a": Inception}):
        torch.save(state, path)
        monkeypatch.setattr(module, "SHA256_PREFIX", hashlib.sha256(path.read_bytes()).hexdigest()[:8])
        with pytest.raises(DataError, match="does not hold the weights"):
            inception(path)


def test_only_the_published_network_may_give_an_fid():
    true = Features("inception", "6726825d" + "0" * 56, 2048, lambda x: x)
    assert is_true_inception(true)
    assert is_true_inception(true.computed)
    others = [("inception", "6726825e", 2048), ("cifar_resnet", "6726825d", 2048), ("inception", "6726825d", 768)]
    assert not any(is_true_inception(Features(*other, lambda x: x)) for other in others)
    assert not is_true_inception(whitened(Features("inception", "6726825d", 4, lambda x: x), torch.randn(9, 4)))
