"""Tests of the parameters of each layer, as the index of the weights tells them."""

from __future__ import annotations

from safeload.inspection import LayerInfo
from safeload.inspection.keras.parameters import with_parameters
from safeload.readers import DatasetInfo, LayerWeights, WeightIndex, WeightLayout


def layer(name, class_name, *layers):
    return LayerInfo(name, class_name, "$", layers=layers)


def array(path, *shape):
    return DatasetInfo(path, shape, "float32", 0)


def paths(*arrays):
    return WeightIndex(WeightLayout.OBJECT_PATHS, arrays)


def counts(root, weights, renamed=()):
    def below(tree):
        return [(inside.name, inside.parameter_count, *below(inside)) for inside in tree.layers]

    return below(with_parameters(root, weights, dict(renamed)))


MODEL = layer(
    "m",
    "Functional",
    layer("i", "InputLayer"),
    layer("a", "Conv2D"),
    layer("b", "Conv2D"),
    layer("n", "Sequential", layer("d", "Dense")),
    layer("w", "TimeDistributed", layer("x", "Dense")),
)
ARRAYS = (
    array("layers/conv2d/vars/0", 3, 3),
    array("layers/conv2d_1/vars/0", 5),
    array("layers/sequential/layers/dense/vars/0", 2, 2),
    array("layers/sequential/layers/dense/vars/1", 2),
    array("layers/time_distributed/layer/vars/0", 7),
    array("optimizer/vars/0", 100),
)


def test_archives():
    """Layers of one class are numbered in the order of the model; what lies inside a layer that is no model is open."""
    assert counts(MODEL, paths(*ARRAYS)) == [
        ("i", 0),
        ("a", 9),
        ("b", 5),
        ("n", 6, ("d", 6)),
        ("w", 7, ("x", None)),
    ]


def test_arrays_elsewhere():
    """Where an array is nobody's, none is given to anybody, in that model or in the one inside."""
    unknown = [(x.name, None) for x in MODEL.layers[:3]]
    for other in ("layers/dense/vars/0", "vars/0", "_layer_checkpoint_dependencies/dense/vars/0"):
        assert counts(MODEL, paths(*ARRAYS, array(other, 1)))[:3] == unknown
    inside = array("layers/sequential/vars/0", 1)
    assert counts(MODEL, paths(*ARRAYS, inside))[3] == ("n", 7, ("d", None))


def test_models_of_other_classes():
    """A class of the user's may keep its layers in any way."""
    assert counts(layer("m", "Mine", layer("d", "Dense")), paths(array("layers/dense/vars/0", 1))) == [("d", None)]


def test_hdf5():
    """HDF5 files list arrays by the names of layers, those that they have in the file."""
    groups = (LayerWeights("a/b", ("k", "b"), (array("k", 2, 3), array("b", 3))), LayerWeights("n", (), ()))
    index = WeightIndex(WeightLayout.LEGACY_HDF5, (), groups)
    root = layer("m", "Functional", layer("a_b", "Dense"), layer("n", "ReLU"), layer("new", "Dense"))
    assert counts(root, index, {"a_b": "a/b"}) == [("a_b", 9), ("n", 0), ("new", None)]


def test_no_weights():
    """An architecture alone has no parameters."""
    assert counts(layer("m", "Functional", layer("d", "Dense")), WeightIndex()) == [("d", None)]
