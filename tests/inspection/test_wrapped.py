"""SignatureDefs take their inputs in the order and nesting of the functions that they wrap."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from artifacts import inspect, read

from safeload.inspection import CallStructure, Composite, Slot, inspect_artifact
from safeload.inspection.keras.signature import listed_outputs
from safeload.inspection.saved_model.wrapped import Wrapper, in_python_order


class Pair(NamedTuple):
    """Two arguments in one."""

    u: Any
    v: Any


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """A SavedModel with a SignatureDef for each way in which a function takes tensors."""
    import tensorflow as tf

    def spec(name=None):
        return tf.TensorSpec([None], tf.float32, name)

    def traced(name, function, *args, **kwargs):
        function.__name__ = name
        traced = tf.function(function)
        return traced, traced.get_concrete_function(*args, **kwargs)

    functions = {
        "separate": traced("separate", lambda b, a: b - a, spec("b"), spec("a")),
        "listed": traced("listed", lambda xs: xs[0] - xs[1], [spec("z"), spec("y")]),
        "switched": traced("switched", lambda b, a, training: b - a, spec("b"), spec("a"), training=False),
        "dict": traced("dict", lambda d: d["k"] - d["a"], {"k": spec("p"), "a": spec("q")}),
        "named": traced("named", lambda d: d["k"] - d["a"], {"k": spec("k"), "a": spec("a")}),
        "mixed": traced("mixed", lambda f, x: f.u + f.v[0] - x, Pair(spec("p"), [spec("q")]), spec("x")),
        "constant": traced("constant", lambda b, mode, a: b - a, spec("b"), "minus", spec("a")),
        "ambiguous": traced("ambiguous", lambda a, x: a["k"] - x, {"k": spec("x")}, spec("a")),
        "keyword": traced("keyword", lambda b, *, a: b - a, spec("b"), a=spec("a")),
        "composite": traced("composite", lambda s: tf.sparse.reduce_sum(s), tf.SparseTensorSpec([None, 3], tf.float32)),
        "ragged": traced("ragged", lambda r: tf.reduce_sum(r, 1), tf.RaggedTensorSpec([None, None], tf.float32)),
        "beside": traced("beside", lambda r, x: r * x[0], tf.RaggedTensorSpec([None, None], tf.float32), spec("x")),
        "other": traced("other", lambda o, x: o.values * x, tf.IndexedSlicesSpec([2, 3], tf.float32), spec("x")),
        "single": traced("single", lambda x: x, spec("x")),
        "changed": traced("changed", lambda b, a: b - a, spec("b"), spec("a")),
    }
    module = tf.Module()
    for key, (function, _) in functions.items():
        setattr(module, key, function)
    signatures = {key: concrete for key, (_, concrete) in functions.items()}
    signatures["elsewhere"] = traced("elsewhere", lambda b, a: b - a, spec("b"), spec("a"))[1]
    module.nests, signatures["nests"] = traced("nests", lambda *b: tf.nest.flatten(b)[0], spec("b"), spec("b_1"))
    module.nests.get_concrete_function([spec("b"), {"a": spec("b_1")}])
    path = tmp_path_factory.mktemp("wrapped")
    tf.saved_model.save(module, str(path), signatures=signatures)
    found = read(path)
    found.saved_model.meta_graphs[0].signature_def["changed"].inputs["a"].dtype = 3
    return found


@pytest.fixture(scope="module")
def signatures(artifact):
    """Its SignatureDefs by key."""
    (graph,) = inspect_artifact(artifact).saved_model.meta_graphs
    return {signature.key: signature for signature in graph.signatures}


@pytest.mark.parametrize(("key", "names"), [("separate", ["b", "a"]), ("listed", ["z", "y"]), ("switched", ["b", "a"])])
def test_arguments_and_lists_have_an_order(signatures, key, names):
    """Separate arguments and one list are listed in the order of Python, and may be given by position."""
    found = signatures[key]
    assert [info.name for info in found.inputs] == names
    assert found.is_positional
    assert found.structure is None


@pytest.mark.parametrize(
    ("key", "structure"),
    [
        ("dict", CallStructure((("inputs", {"a": Slot("q"), "k": Slot("p")}),))),
        ("mixed", CallStructure((("f", (Slot("p"), [Slot("q")])), ("x", Slot("x"))))),
        (
            "constant",
            CallStructure((("b", Slot("b")), ("mode", "minus"), ("a", Slot("a"))), defaults=(("mode", "minus"),)),
        ),
    ],
)
def test_other_nestings_are_kept(signatures, key, structure):
    """Other arguments have the nesting that was traced, with the names of the SignatureDef in it."""
    assert signatures[key].structure == structure
    assert signatures[key].is_positional


@pytest.mark.parametrize(
    "key",
    [
        "named",
        "ambiguous",
        "keyword",
        "composite",
        "ragged",
        "beside",
        "other",
        "single",
        "changed",
        "elsewhere",
        "nests",
    ],
)
def test_what_is_not_recorded_or_says_nothing_new_stays(signatures, key):
    """Inputs stay sorted by name where positions would mean nothing, or not surely the same."""
    found = signatures[key]
    assert (found.is_positional, found.structure) == (False, None)
    assert [info.name for info in found.inputs] == sorted(info.name for info in found.inputs)


def test_parts_of_a_tensor(signatures):
    """Where the function takes sparse and ragged tensors, inputs are their parts in the order of TensorFlow."""
    assert {key: found.composites for key, found in signatures.items() if found.composites} == {
        "composite": (Composite("sparse", ("s", "s_1", "s_2")),),
        "ragged": (Composite("ragged", ("r", "r_1")),),
        "beside": (Composite("ragged", ("r", "r_1")),),
    }
    assert [key for key, found in signatures.items() if found.whole] == ["composite", "ragged"]


def test_a_function_that_is_absent_or_calls_nothing_has_no_order(artifact, signatures):
    """Nothing is guessed from names alone."""
    bodies = inspect_artifact(artifact).saved_model.meta_graphs[0].graph.bodies
    inner = next(name for name in bodies if name.startswith("__inference_separate"))
    for name in ("absent", inner):
        assert in_python_order(signatures["dict"], Wrapper(name, ("p", "q")), bodies, ()) is signatures["dict"]
    found = signatures["separate"]
    alone = {found.function_name: bodies[found.function_name]}
    assert in_python_order(found, Wrapper(found.function_name, ("a", "b")), alone, [found]) is found


@pytest.mark.parametrize("suffix", ["", ".h5"])
def test_keras_2_models_keep_their_order(tmp_path, suffix):
    """A SavedModel of Keras 2 lists inputs and outputs as the HDF5 file of the same model does."""
    tf_keras = pytest.importorskip("tf_keras")

    inputs = [tf_keras.Input((2,), name=name) for name in ("zeta", "alpha", "mid")]
    both = tf_keras.layers.concatenate(inputs)
    layer = tf_keras.layers.Dense(1, name="y")
    outputs = [tf_keras.layers.Dense(1, name="z")(both), layer(both), layer(both * 2), layer(both * 3)]
    path = tmp_path / f"model{suffix}"
    tf_keras.Model(inputs, [*outputs, tf_keras.layers.Dense(1, name="b")(both)]).save(path)
    info = inspect(path)
    found = info.keras.signature if info.keras else info.saved_model.meta_graphs[0].signatures[0]
    assert [tensor.name for tensor in found.inputs] == ["zeta", "alpha", "mid"]
    assert [tensor.name for tensor in found.outputs] == ["z", "y", "y_1", "y_2", "b"]
    assert found.is_positional


@pytest.mark.parametrize(
    "config", [None, [], {}, {"output_layers": {"a": ["a", 0, 0]}}, {"output_layers": [["a", 0, 0], "b"]}]
)
def test_no_list_of_outputs(config):
    """Only a list of tensors tells an order."""
    assert listed_outputs(config) == []
