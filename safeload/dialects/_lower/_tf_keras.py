"""What Keras 3 records → what tf_keras reads: nodes, names of keys, and values. Layer: dialects.

Source:
    tf_keras 2.21 ``engine/functional.py`` (reconstruct_from_config, _should_skip_first_node), ``engine/node.py``,
    ``layers/core/lambda_layer.py`` (_parse_function_from_config), ``activations.py``; the layers' constructors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from safeload.dialects._compat_names import COMPAT_MODULE
from safeload.dialects._eras._keras2 import FUNCTION_PARTS
from safeload.dialects._functional._graph import GraphLayer, map_graph, read_graph
from safeload.dialects._functional._nodes import CONSTANT, Call, TensorRef, Tree, entry_of, iter_refs, map_refs
from safeload.dialects._normal import Flavour, KerasTarget, NormalForm
from safeload.dialects._values import function_object, has_activation, kind_at
from safeload.errors import IncompatibleVersionError

Json = Any

PACKAGE = "tf_keras"

_KEYS: Mapping[str, Mapping[str, str]] = {
    "InputLayer": {"batch_shape": "batch_input_shape"},
    "LeakyReLU": {"negative_slope": "alpha"},
}
"""Class → key of Keras 3 → key of tf_keras."""

_REQUIRED: Mapping[str, Mapping[str, None]] = {
    name: {"query_shape": None, "key_shape": None, "value_shape": None}
    for name in ("MultiHeadAttention", "UnmaskedMultiHeadAttention")
}
"""Class → keys that are no arguments of the constructor; without them the first call decides.

Source: tf_keras 2.21 ``layers/attention/multi_head_attention.py`` (from_config).
"""

_ACTIVATIONS = frozenset(
    [
        "elu",
        "exponential",
        "gelu",
        "leaky_relu",
        "linear",
        "log_softmax",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "softmax",
        "softplus",
        "softsign",
        "swish",
        "tanh",
    ]
)
"""Names for which ``tf_keras.activations.get`` has the function of Keras 3."""

_HARD_SIGMOID = function_object("hard_sigmoid", module=COMPAT_MODULE)

_PLAIN_POLICIES = frozenset({"DTypePolicy", "FloatDTypePolicy"})

_RECURRENT = ("SimpleRNN", "LSTM", "GRU", "Bidirectional", "RNN")
_FIRST_ARGUMENTS = ("inputs", "x", "query", "sequences", "sequence")
_LATER_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "MultiHeadAttention": ("value", "key"),
    "UnmaskedMultiHeadAttention": ("value", "key"),
    **dict.fromkeys(_RECURRENT, ("initial_state",)),
}
"""Class → names of the arguments after the first: the nodes of tf_keras name all but the first."""


_ONLY_IN_KERAS_2: Mapping[str, Callable[[str, dict[str, Json]], bool]] = {
    "a ragged input": lambda name, config: name == "InputLayer" and config.get("ragged") is True,
    "members of ragged tensors": lambda name, config: (
        name == "TensorFlowSymbol" and str(config.get("function")).startswith("RaggedTensor.")
    ),
    "gaussian interpolation": lambda _, config: config.get("interpolation") == "gaussian",
    "mitchellcubic interpolation": lambda _, config: config.get("interpolation") == "mitchellcubic",
    "a causal SeparableConv1D": lambda name, config: name == "SeparableConv1D" and config.get("padding") == "causal",
    "a BatchNormalization over several axes": lambda name, config: (
        name == "BatchNormalization" and isinstance(config.get("axis"), list)
    ),
    "a locally connected layer of implementation 3": lambda name, config: (
        name in ("LocallyConnected1D", "LocallyConnected2D") and config.get("implementation") == 3
    ),
    "a PReLU for an activation": lambda _, config: _class_of(config.get("activation")) == "PReLU",
    "a recurrent layer whose first axis is time": lambda name, config: (
        name in _RECURRENT and config.get("time_major") is True
    ),
    "constants of a recurrent layer": lambda _, config: bool(config.get("num_constants")),
    # ``compute_mask`` in keras/src/layers/rnn/bidirectional.py (3.0.0 to 3.15.1) fails
    "a stateful Bidirectional that returns its state": lambda name, config: (
        name == "Bidirectional" and _keeps_and_returns_state(config.get("layer"))
    ),
}
"""What Keras 3 does not take, in words, and how it is told. Source: the constructors of keras 3.15.1."""


def _keeps_and_returns_state(layer: Json) -> bool:
    inner = layer.get("config") if isinstance(layer, dict) else None
    return isinstance(inner, dict) and inner.get("stateful") is True and inner.get("return_state") is True


def _class_of(value: Json) -> Json:
    return value.get("class_name") if isinstance(value, dict) else None


def needs_keras_2(normal: NormalForm) -> str | None:
    """Return what of a model only tf_keras computes, in words, or None if Keras 3 does as well."""
    if normal.writer.flavour is Flavour.KERAS_3:
        return None
    return next(filter(None, map(_only_in_keras_2, _objects(normal.config))), None)


def _objects(value: Json) -> Iterator[dict[str, Json]]:
    if isinstance(value, dict):
        if isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict):
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _objects(item)


def _only_in_keras_2(entry: dict[str, Json]) -> str | None:
    nodes = entry.get("inbound_nodes")  # what only looks like a layer may have anything there
    if isinstance(nodes, list) and any(map(_is_for_training, nodes)):
        return "a layer that is called as in training"
    name, config = entry["class_name"], entry["config"]
    return next((reason for reason, applies in _ONLY_IN_KERAS_2.items() if applies(name, config)), None)


def _is_for_training(node: Json) -> bool:
    """Tell whether the call says ``training=True``: Keras 3 goes by what the model is called with instead."""
    kwargs = node.get("kwargs") if isinstance(node, dict) else None
    return isinstance(kwargs, dict) and bool(kwargs.get("training"))


def taken_from_kwargs(package: str) -> frozenset[str]:
    """Return keys that layers of tf_keras read from ``**kwargs``.

    Source: ``engine/base_layer.py``; of the sizes of vocabularies, ``layers/preprocessing/index_lookup.py`` and
    ``text_vectorization.py``. Other layers have none.
    """
    return frozenset({"batch_input_shape", "activity_regularizer", "vocabulary_size"} if package == PACKAGE else ())


def with_keras_2_keys(name: str, config: dict[str, Json]) -> dict[str, Json]:
    """Return the *config* of a built-in object with the keys that tf_keras has for the same.

    How many constants a recurrent layer has, its calls say.
    """
    names = _KEYS.get(name, {})
    return {names.get(key, key): value for key, value in config.items() if key != "num_constants"}


def with_required_keys(name: str, config: dict[str, Json]) -> dict[str, Json]:
    """Return the config of a built-in object with the keys that its ``from_config`` asks for."""
    if name == "Lambda":
        return _with_function_types(config)
    return {**_REQUIRED.get(name, {}), **config}


def _with_function_types(config: dict[str, Json]) -> dict[str, Json]:
    """Return the config of a Lambda layer with the kind of each function beside it."""
    kinds = {f"{part}_type": _function_type(config.get(part)) for part in FUNCTION_PARTS}
    return {**config, **kinds, "output_shape": config.get("output_shape")}


def _function_type(value: Json) -> str:
    return "function" if isinstance(value, dict) and "class_name" in value else "raw"


def with_keras_2_values(config: dict[str, Json], where: str) -> dict[str, Json]:
    """Return *config* with activations as tf_keras knows them.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. tf_keras has no such activation.
    """
    return {
        key: _activation(value, f"{where}.{key}") if kind_at(key) == "activation" and isinstance(value, str) else value
        for key, value in config.items()
    }


def with_names(config: dict[str, Json]) -> dict[str, Json]:
    """Return the *config* of a custom class with the text that the file has for the ``hard_sigmoid`` of Keras 2."""
    return {key: "hard_sigmoid" if value == _HARD_SIGMOID else value for key, value in config.items()}


def _activation(name: str, where: str) -> Json:
    if name == "hard_sigmoid":  # tf_keras has the function of Keras 2 under this name
        return function_object("hard_sigmoid_of_keras_3", module=COMPAT_MODULE)
    if name not in _ACTIVATIONS and has_activation(name):
        raise _unknown(where, f"has no activation {name!r}")
    return name


def dtype_name(policy: dict[str, Json], where: str) -> str:
    """Return the name of a serialized dtype policy, which tf_keras takes in its place.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. The policy is one of quantization.
    """
    name = policy["config"].get("name") if isinstance(policy["config"], dict) else None
    if policy["class_name"] not in _PLAIN_POLICIES or not isinstance(name, str):
        raise _unknown(where, f"has no dtype policy {policy['class_name']}")
    return name


def with_keras_2_nodes(config: dict[str, Json], where: str) -> dict[str, Json]:
    """Return the config of a Functional model with nodes of Keras 2.

    tf_keras counts the calls of a nested model from 1, since its creation was the first.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. A call names its arguments as tf_keras cannot.
    """
    graph = read_graph(config, where=where, is_old=False)
    models = {layer.name for layer in graph.layers if _starts_with_input(layer.data)}
    graph = map_graph(graph, lambda ref: replace(ref, node=ref.node + 1) if ref.layer in models else ref)
    return {
        **config,
        "layers": [{**layer.data, "name": layer.name, "inbound_nodes": _nodes(layer, where)} for layer in graph.layers],
        "input_layers": map_refs(graph.inputs, entry_of),
        "output_layers": map_refs(graph.outputs, entry_of),
    }


def _starts_with_input(layer: Json) -> bool:
    layers = layer["config"].get("layers") if isinstance(layer["config"], dict) else None
    return isinstance(layers, list) and bool(layers) and layers[0].get("class_name") == "InputLayer"


def _nodes(layer: GraphLayer, where: str) -> list[Json]:
    class_name = layer.data["class_name"]
    calls = (_with_one_argument(call, class_name, f"{where}.{layer.name}") for call in layer.calls)
    return [_leaves(call.args[0], map_refs(call.kwargs, entry_of)) for call in calls]


def _with_one_argument(call: Call, class_name: str, where: str) -> Call:
    """Return *call* with all arguments but the first as keywords."""
    if class_name == "TensorFlowNode":
        return Call((list(call.args),), call.kwargs)
    if not call.args:
        first = next((name for name in _FIRST_ARGUMENTS if name in call.kwargs), None)
        if first is None:
            raise _unknown(where, "does not know which argument is the first")
        kwargs = {key: value for key, value in call.kwargs.items() if key != first}
        return Call((call.kwargs[first],), kwargs)
    names = _LATER_ARGUMENTS.get(class_name, ())
    if len(call.args) > 1 + len(names):
        raise _unknown(where, "does not know the names of the arguments after the first")
    return Call(call.args[:1], {**dict(zip(names, call.args[1:], strict=False)), **call.kwargs})


def _leaves(tree: Tree, kwargs: dict[str, Json]) -> Json:
    """Return *tree* with every leaf as an entry that carries *kwargs*; a leaf that is no tensor is a constant."""
    if isinstance(tree, TensorRef):
        return [*entry_of(tree), kwargs]
    if isinstance(tree, list):
        return [_leaves(item, kwargs) for item in tree]
    if isinstance(tree, dict) and any(True for _ in iter_refs(tree)):
        return {key: _leaves(item, kwargs) for key, item in tree.items()}
    return [CONSTANT, -1, tree, kwargs]


def of_keras_3_alone(where: str, module: str, name: str, target: KerasTarget) -> IncompatibleVersionError:
    """Return the error for a class that Keras 3 has, or safeload for Keras 3, in a model that tf_keras is to build."""
    of_safeload = f"does not compute {name} as the file means it, and Keras 3 does"
    lacks = of_safeload if module == COMPAT_MODULE else f"has no {module}.{name}"
    return IncompatibleVersionError(
        where,
        problem=f"{target} {lacks}; a given class, or another layer, is one of {PACKAGE}",
        hint=f"pass classes of keras (Keras 3) in place of those derived from {PACKAGE}; a library that takes its "
        "Keras from TensorFlow has them if Python is started without TF_USE_LEGACY_KERAS",
    )


def _unknown(where: str, problem: str) -> IncompatibleVersionError:
    return IncompatibleVersionError(
        where,
        problem=f"{PACKAGE} {problem}",
        hint="derive the custom classes from keras instead, so that Keras 3 can load the model",
    )
