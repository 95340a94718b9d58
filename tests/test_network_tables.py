"""The documents' networks as tables: counted without weights, against published figures."""

from dataclasses import replace
from math import prod

import numpy as np
import pytest

from refconv import network
from refconv.network import NETWORKS, Network
from refconv.workloads import LAYERS

# Published, or widely reproduced from the authors' models.
PARAMETERS = {
    "lenet5": 61_706,  # LeCun et al. 1998 with all maps connected, as the notes draw it
    "vgg11": 132_863_336,  # Simonyan, Zisserman 2015, Table 2: 133 million
    "vgg16": 138_357_544,  # ibid.: 138 million
    "googlenet": 6_998_552,  # as in Caffe's collection of models, without the auxiliary classifiers
    "resnet18": 11_689_512,
}
FIRST_DENSE = {"lenet5": 48_000, "alexnet": 26_214_400, "vgg11": 102_760_448, "vgg16": 102_760_448}
FEATURES = {  # the last feature map
    "lenet5": (16, 5, 5),
    "alexnet": (256, 5, 5),
    "vgg11": (512, 7, 7),
    "vgg16": (512, 7, 7),
    "nin": (1000, 5, 5),
    "googlenet": (1024, 7, 7),
    "resnet18": (512, 7, 7),
}
RECEPTIVE = {"alexnet": 195, "vgg16": 212, "resnet18": 435}  # Araujo, Norris, Sim 2019
# Szegedy et al. 2015, Table 1: output, multiply-adds in millions. For block 5a the table prints 54, which its own
# channel numbers do not give (51.1); its parameter counts differ from the channels by up to 8 %, so they are left out.
INCEPTIONS = [
    ((256, 28, 28), 128),
    ((480, 28, 28), 304),
    ((512, 14, 14), 73),
    ((512, 14, 14), 88),
    ((512, 14, 14), 100),
    ((528, 14, 14), 119),
    ((832, 14, 14), 170),
    ((832, 7, 7), 51.1),
    ((1024, 7, 7), 71),
]


def blocks(net):
    """The rows of the table itself, blocks not opened: each layer with the shapes before and after it."""
    shape = net.input_shape
    for layer in net.body.layers:
        yield layer, shape, layer.output_shape(shape)
        shape = layer.output_shape(shape)


def count(layer, shape):
    return sum(map(prod, layer.parameters(shape).values()))


def test_every_network_of_the_notes_is_there():
    """S19: by name, with an image's size and a source."""
    assert list(NETWORKS) == ["lenet5", "alexnet", "vgg11", "vgg16", "nin", "googlenet", "resnet18"]
    for name, net in NETWORKS.items():
        assert net.name == name and net.source
        assert net.output_shape == ((10,) if name == "lenet5" else (1000,))
        assert net.input_shape == ((1, 28, 28) if name == "lenet5" else (3, 224, 224))


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts_are_the_published_ones(name):
    """S19: every number that is learnt, and none else."""
    assert NETWORKS[name].parameter_count == PARAMETERS[name]


@pytest.mark.parametrize("name", FIRST_DENSE)
def test_weights_of_the_first_dense_layer(name):
    """FC (S19): as the notes count them."""
    net = NETWORKS[name]
    row = next(row for row in net.rows if isinstance(row.layer, network.Dense))
    assert prod(net.parameter_shapes[f"{row.name}.weight"]) == FIRST_DENSE[name]


def test_alexnet_as_first_published():
    """S19: two groups, an input of 227 and maps of 6x6 are the paper's 60 million parameters."""
    alexnet = NETWORKS["alexnet"]
    assert alexnet.parameter_count == 50_844_008
    layers = list(alexnet.body.layers)
    layers[0] = replace(layers[0], padding=0)
    for at in (3, 8, 10):
        layers[at] = replace(layers[at], groups=2)
    first = Network("alexnet", "2012", (3, 227, 227), network.Sequential(tuple(layers)))
    assert first.parameter_count == 60_965_224
    assert [after for *_, after in blocks(first)][12] == (256, 6, 6)
    assert first.multiply_adds == 724_406_816


@pytest.mark.parametrize("name", FEATURES)
def test_the_last_feature_map(name):
    """S4, S19: the sizes that the papers' figures show."""
    head = (network.Flatten, network.GlobalAvgPool)
    assert [before for layer, before, _ in blocks(NETWORKS[name]) if isinstance(layer, head)] == [FEATURES[name]]


def test_sizes_along_the_way():
    """S19: of NiN as the notes' source prints them, of ResNet-18 as in He et al. 2016, Table 1."""
    nin, resnet = NETWORKS["nin"], NETWORKS["resnet18"]
    sizes = [after[1] for _, _, after in blocks(nin) if len(after) == 3]
    assert [n for n, before in zip(sizes, [0, *sizes], strict=False) if n != before] == [54, 26, 12, 5]
    assert [after for layer, _, after in blocks(resnet) if isinstance(layer, network.Sum)] == [
        *[(64, 56, 56)] * 2,
        *[(128, 28, 28)] * 2,
        *[(256, 14, 14)] * 2,
        *[(512, 7, 7)] * 2,
    ]


def test_inception_blocks_are_those_of_the_paper():
    """S19: outputs and multiply-adds of all nine, as rounded or cut in Table 1."""
    found = [(i, before, after) for i, before, after in blocks(NETWORKS["googlenet"]) if isinstance(i, network.Concat)]
    for (block, before, after), (output, products) in zip(found, INCEPTIONS, strict=True):
        assert after == output
        assert abs(block.multiply_adds(before) / 1e6 - products) < 1


def test_multiply_adds():
    """S19: LeNet's by hand; VGG-16 and ResNet-18 in billions as published (He et al. 2016: 1.8)."""
    lenet = 6 * 28 * 28 * 25 + 16 * 10 * 10 * 150 + 400 * 120 + 120 * 84 + 84 * 10
    assert NETWORKS["lenet5"].multiply_adds == lenet == 416_520
    assert NETWORKS["vgg16"].multiply_adds == 15_470_264_320
    assert NETWORKS["resnet18"].multiply_adds == 1_814_073_344
    assert NETWORKS["nin"].multiply_adds < NETWORKS["alexnet"].multiply_adds


@pytest.mark.parametrize("name", RECEPTIVE)
def test_receptive_fields(name):
    """S16, S19: of the last feature map before the head, branches and all."""
    field = NETWORKS[name].receptive_field
    assert (field.size, field.jump) == (RECEPTIVE[name], 32)


def test_the_receptive_field_is_what_a_network_sees():
    """S16: moving one pixel changes the features inside the field of GoogLeNet's first blocks, and none outside.

    Every weight is one and the image's other pixels are zero, so a pixel that is seen is seen.
    """
    net = NETWORKS["googlenet"].small(32, (3, 96, 96))
    body = network.Sequential(net.body.layers[:9])
    values = {name: np.ones(s) for name, s in body.parameters(net.input_shape).items() if name.endswith("weight")}
    values |= {name: np.zeros(s) for name, s in body.parameters(net.input_shape).items() if name.endswith("bias")}
    window = body.window()
    middle = 5
    for pixel in range(96):
        x = np.zeros((1, 3, 96, 96))
        x[0, :, 48, pixel] = 1
        seen = body.forward(x, values).output[0, :, 6].any(axis=0)
        start = middle * window.stride - window.padding
        assert seen[middle] == (start <= pixel < start + window.kernel_size)


def test_layers_that_are_counted_without_memory():
    """PARAMS (S15): from a 1000x1000 image to 10^6 units: dense 10^12, locally connected 10^8, shared 100 weights."""
    image = (1, 1000, 1000)
    dense = network.Dense(10**6).parameters((prod(image),))
    local = network.LocallyConnected2d(1, 10, padding="same").parameters(image)
    shared = network.Conv2d(1, 10, padding="same", bias=False).parameters(image)
    assert [prod(p["weight"]) for p in (dense, local, shared)] == [10**12, 10**8, 100]


@pytest.mark.parametrize("name", NETWORKS)
def test_counts_are_those_of_real_weights(name):
    """A small version has as many numbers as it says, and gives outputs of the shapes that its rows say."""
    net = NETWORKS[name].small(16, (1, 28, 28) if name == "lenet5" else (3, 96, 96))
    values = net.initial(0)
    learnt = {n: a for n, a in values.items() if "running" not in n}
    assert sum(a.size for a in learnt.values()) == net.parameter_count
    assert {n: a.shape for n, a in learnt.items()} == net.parameter_shapes
    assert net.forward(np.zeros((1, *net.input_shape)), values).output.shape == (1, *net.output_shape)
    assert net.rows[-1].output_shape == net.output_shape
    assert sum(count(row.layer, row.input_shape) for row in net.rows) == net.parameter_count
    assert sum(row.layer.multiply_adds(row.input_shape) for row in net.rows) == net.multiply_adds


def test_what_does_not_fit_is_said():
    """An image of another size, weights that are missing or of another shape, an image too small for the table."""
    net = NETWORKS["lenet5"]
    values = net.initial(0)
    with pytest.raises(ValueError, match=r"`x` has shape \(1, 1, 32, 32\), but lenet5 takes \(N, 1, 28, 28\)"):
        net.forward(np.zeros((1, 1, 32, 32)), values)
    with pytest.raises(ValueError, match=r"`values\['0.bias'\]` is missing"):
        net.forward(np.zeros((1, 1, 28, 28)), {n: a for n, a in values.items() if n != "0.bias"})
    with pytest.raises(ValueError, match=r"has shape \(3,\), but must have shape \(6,\)"):
        net.forward(np.zeros((1, 1, 28, 28)), {**values, "0.bias": np.zeros(3)})
    with pytest.raises(ValueError, match="must be larger: layer 30"):
        NETWORKS["vgg16"].small(16, (3, 16, 16))


TIMED = {
    "lenet": "lenet5",
    "alexnet": "alexnet",
    "vgg": "vgg16",
    "nin": "nin",
    "googlenet": "googlenet",
    "resnet": "resnet18",
}


def _padded(channels, sizes, kernel, stride, padding):
    return channels, tuple(n + 2 * padding for n in sizes), kernel, stride


@pytest.mark.parametrize(
    "layer", [row for row in LAYERS.values() if row.name.split("-")[0] in TIMED], ids=lambda row: row.name
)
def test_what_is_timed_is_a_layer_of_its_network(layer):
    """Channels, padded image, kernel and stride: LeNet's first image counts as 32 by 32 or as 28 with padding."""
    (channels, *sizes), args = layer.input, layer.arguments
    kernel = layer.weight[2] if layer.weight else args["kernel_size"]
    stride = args.get("stride", 1 if layer.weight else kernel)
    wanted = _padded(channels, sizes, kernel, stride, args.get("padding", 0)), layer.weight and layer.weight[0]
    found = []
    for row in NETWORKS[TIMED[layer.name.split("-")[0]]].rows:
        given = vars(row.layer)
        if type(row.layer).__name__.startswith("Global"):
            given = {"kernel_size": row.input_shape[1]}
        if "kernel_size" in given:
            k, s = given["kernel_size"], given.get("stride") or given["kernel_size"]
            shape = _padded(row.input_shape[0], row.input_shape[1:], k, s, given.get("padding", 0))
            found.append((shape, given.get("out_channels")))
    assert wanted in found
