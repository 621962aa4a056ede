"""Models of every era → Keras 3 models: Functional graphs with explicit nodes, Sequential models with an InputLayer.

Layer: dialects. What a single layer means is `_objects`'s; how models nest, call and name their layers is decided here.

Source:
    keras 1.2.2 ``keras/engine/topology.py``; keras 2.2.4 ``keras/engine/network.py``; tf_keras 2.21
    ``engine/functional.py`` (get_network_config, reconstruct_from_config); keras 3.15 ``src/models/functional.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from safeload.dialects._eras._transposed import with_output_padding
from safeload.dialects._functional import _operations
from safeload.dialects._functional._graph import (
    FUNCTIONAL_KEYS,
    Graph,
    GraphLayer,
    map_graph,
    read_graph,
    require_calls_apart,
    with_model_offset,
)
from safeload.dialects._functional._merge import merge_layer
from safeload.dialects._functional._nodes import (
    STATEFUL_CLASSES,
    Call,
    Tree,
    entry_of,
    map_refs,
    split_initial_state,
    write_call,
)
from safeload.dialects._functional._sequential import is_sequential, with_build_shape, with_input_layer
from safeload.dialects._normal import BUILT_BEFORE, Flavour, Writer
from safeload.dialects._values import is_of_a_script, legal_name

if TYPE_CHECKING:
    from safeload.dialects._objects import Normaliser

Json = Any

# The first release that writes one tensor and a list of one differently: keras/src/models/functional.py of 3.11.3.
_BARE_TENSORS = (3, 11)

_TRAINS_AS_CALLED = (3, 16)
"""First Keras 3 in which ``training=`` of a layer's call counts; before, that of the call of the model did.

Earlier releases record there what layers take for granted, too, such as the True of RandomFlip.

Source: ``operation_fn`` in keras/src/models/functional.py of 3.15.1; keras-nightly 3.16.0.dev2026102704 has none.
"""
_BUILTIN_MODELS = {
    "Model": "Functional",
    "Functional": "Functional",
    "Container": "Functional",
    "Network": "Functional",
    "Sequential": "Sequential",
}
_KERAS_PACKAGES = frozenset({"keras", "tf_keras"})
# The modules that Keras 3.15 writes for its models.
_MODULES = {"Functional": "keras.src.models.functional", "Sequential": "keras"}


def normalise_model(
    value: dict[str, Any], writer: Writer, normaliser: Normaliser, renamed: dict[str, str]
) -> dict[str, Any] | None:
    """Return a serialized model in normal form, or None if *value* is no model made of layers.

    Args:
        value: A serialized object of any era.
        writer: Who wrote it.
        normaliser: Normalises the layers.
        renamed: Takes the layers whose name had to change: new name → name in the file.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. The graph contradicts itself.
        IncompatibleVersionError: ``incompatible-version``. The saver left out what the model needs.
    """
    if not _may_have_layers(value):
        return None
    if is_sequential(value):
        value = with_input_layer(value, str(value.get("name") or "Sequential"))
    config = value.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        return None
    if config.keys() >= FUNCTIONAL_KEYS:
        parts = _functional(config, writer, normaliser, renamed)
    elif is_sequential(value):
        layers = config["layers"] if writer.flavour is not Flavour.KERAS_3 else with_output_padding(config["layers"])
        parts = {"layers": _sequential_layers(layers, normaliser, renamed)}
    else:
        shaped = with_build_shape(config) if writer.flavour is not Flavour.KERAS_3 else config
        return None if shaped is config else normaliser.object({**value, "config": shaped}, "model")
    return _model(value, parts, normaliser)


def _may_have_layers(value: Json) -> bool:
    """Tell what most objects are not: models."""
    config = value.get("config")
    return not isinstance(config, dict) or "layers" in config or is_sequential(value)


def _model(value: Json, parts: dict[str, Json], normaliser: Normaliser) -> dict[str, Json]:
    """The object of a model whose *parts* are in normal form."""
    rest = {key: item for key, item in value["config"].items() if key not in FUNCTIONAL_KEYS}
    name = rest.get("name")
    if isinstance(name, str):
        rest["name"] = legal_name(name)
    shell = _shell(value, rest, normaliser)
    return {**shell, "config": {**shell["config"], **parts}}


def _shell(value: Json, rest: Json, normaliser: Normaliser) -> Json:
    module = value.get("module")
    name = None if is_of_a_script(value) else _BUILTIN_MODELS.get(value["class_name"])
    if name is None or (module is not None and str(module).partition(".")[0] not in _KERAS_PACKAGES):
        return normaliser.object({**value, "config": rest}, "model")
    kept = {key: value[key] for key in ("name", "shared_object_id", BUILT_BEFORE) if key in value}
    return {
        "module": _MODULES[name],
        "class_name": name,
        "config": normaliser.config(rest),
        "registered_name": None,
        **kept,
    }


def _sequential_layers(layers: list[Json], normaliser: Normaliser, renamed: dict[str, str]) -> list[Json]:
    taken: set[str] = set()
    named = [_renamed_layer(layer, _new_name(_name_in(layer), taken, renamed)) for layer in layers]
    return [normaliser.object(_without_input_shape(layer), "layer") for layer in named]


def _without_input_shape(layer: Json) -> Json:
    """*layer* without the shape that the base class of Keras 2 recorded; custom layers have it too."""
    if layer["class_name"] == "InputLayer" or "batch_input_shape" not in layer["config"]:
        return layer
    return {**layer, "config": {key: item for key, item in layer["config"].items() if key != "batch_input_shape"}}


def _name_in(layer: Json) -> str | None:
    name = layer["config"].get("name") if isinstance(layer["config"], dict) else None
    return name if isinstance(name, str) else None


def _new_name(name: str | None, taken: set[str], renamed: dict[str, str]) -> str | None:
    """A name for the layer *name* that Keras 3 accepts beside those *taken*."""
    if name is None:
        return None
    new = base = legal_name(name)
    count = 0
    while new in taken:
        count += 1
        new = f"{base}_{count}"
    taken.add(new)
    if new != name:
        renamed[new] = name
    return new


def _renamed_layer(layer: Json, name: str | None) -> Json:
    if name is None or not isinstance(layer["config"], dict) or layer["config"].get("name") == name:
        return layer
    return {**layer, "config": {**layer["config"], "name": name}}


def _functional(config: Json, writer: Writer, normaliser: Normaliser, renamed: dict[str, str]) -> dict[str, Json]:
    """``layers``, ``input_layers`` and ``output_layers`` of a Functional model in normal form."""
    is_old = writer.flavour is not Flavour.KERAS_3
    graph = read_graph(config, where=str(config.get("name") or "Functional"), is_old=is_old)
    if is_old:
        graph = graph._replace(layers=tuple(_modern(layer) for layer in graph.layers))
    else:
        require_calls_apart(graph, writer)
        padded = with_output_padding([layer.data for layer in graph.layers])
        pairs = zip(graph.layers, padded, strict=True)
        graph = graph._replace(layers=tuple(layer._replace(data=data) for layer, data in pairs))
        if writer.may_be_before(_TRAINS_AS_CALLED):
            graph = graph._replace(layers=tuple(_without_training(layer) for layer in graph.layers))
    if writer.may_be_before(_BARE_TENSORS):
        graph = graph._replace(inputs=_unwrapped(graph.inputs), outputs=_unwrapped(graph.outputs))
    graph = _with_legal_names(graph, renamed)
    layers = [layer._replace(data=normaliser.object(layer.data, "layer")) for layer in graph.layers]
    return _written(with_model_offset(graph._replace(layers=tuple(layers)), 1))


def _modern(layer: GraphLayer) -> GraphLayer:
    """*layer* of Keras 1 or 2 with calls and class such as Keras 3 has them."""
    data = _without_input_shape({key: item for key, item in layer.data.items() if key != "inbound_nodes"})
    class_name = data["class_name"]
    if class_name == "Merge":
        data = merge_layer(data, layer.name)
    elif class_name in STATEFUL_CLASSES:
        return layer._replace(data=data, calls=tuple(_with_state(call, layer) for call in layer.calls))
    elif class_name in _operations.OPERATION_CLASSES:
        data, calls = _operations.modern_operation(data, layer.calls, where=layer.name)
        return layer._replace(data=data, calls=calls)
    return layer._replace(data=data)


def _without_training(layer: GraphLayer) -> GraphLayer:
    calls = (
        call._replace(kwargs={key: value for key, value in call.kwargs.items() if key != "training"})
        for call in layer.calls
    )
    return layer._replace(calls=tuple(calls))


def _with_state(call: Call, layer: GraphLayer) -> Call:
    """Name what follows the sequence in a list: the initial state and, for `lower` to judge, the constants."""
    count = layer.data["config"].get("num_constants") or 0
    inputs = call.args[0] if call.args else None
    if count and isinstance(inputs, list) and len(inputs) > count:
        kwargs = {**call.kwargs, "constants": inputs[-count:]}
        call = Call((_unwrapped(inputs[:-count]), *call.args[1:]), kwargs)
    return split_initial_state(call)


def _unwrapped(tree: Tree) -> Tree:
    """A list of one tensor is that tensor: tf_keras ``Functional._init_graph_network``, keras 3.8 ``map_tensors``."""
    return tree[0] if isinstance(tree, list) and len(tree) == 1 else tree


def _with_legal_names(graph: Graph, renamed: dict[str, str]) -> Graph:
    taken: set[str] = set()
    names = {layer.name: str(_new_name(layer.name, taken, renamed)) for layer in graph.layers}
    if all(new == old for old, new in names.items()):
        return graph
    layers = tuple(_renamed(layer, names[layer.name]) for layer in graph.layers)
    return map_graph(graph._replace(layers=layers), lambda ref: replace(ref, layer=names[ref.layer]))


def _renamed(layer: GraphLayer, name: str) -> GraphLayer:
    return layer if name == layer.name else layer._replace(name=name, data=_renamed_layer(layer.data, name))


def _written(graph: Graph) -> dict[str, Json]:
    layers = [
        {**layer.data, "name": layer.name, "inbound_nodes": [write_call(call) for call in layer.calls]}
        for layer in graph.layers
    ]
    return {
        "layers": layers,
        "input_layers": map_refs(graph.inputs, entry_of),
        "output_layers": map_refs(graph.outputs, entry_of),
    }
