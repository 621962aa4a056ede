"""Sequential models of every era: ``{"name", "layers"}`` with an InputLayer in front.

Source:
    keras 1.2.2 ``keras/models.py`` (Sequential.add, get_config, flattened_layers); keras 2.2.4
    ``keras/engine/sequential.py``; tf_keras 2.21 ``engine/sequential.py`` (add, build_input_shape),
    ``engine/training_utils.py`` (get_input_shape_and_dtype).
"""

from __future__ import annotations

import itertools
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from safeload.dialects._functional._nodes import Call, TensorRef, entry_of, iter_refs, read_tensors, write_call
from safeload.dialects._values import is_of_a_script, recorded_dtype
from safeload.errors import MalformedArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = Any

_INPUT_DTYPES = MappingProxyType(
    {
        "TextVectorization": "string",
        "StringLookup": "string",
        "IntegerLookup": "int64",
        "Hashing": "string",
        "Embedding": "int32",
    }
)
"""First layers of a model built from a shape alone → dtype of their input."""


def input_layer(shape: Json, *, dtype: str, name: str) -> Json:
    """An InputLayer object."""
    config = {"batch_shape": list(shape), "dtype": dtype, "sparse": False, "ragged": False, "name": name}
    return {"module": "keras.layers", "class_name": "InputLayer", "config": config}


def input_dtype(config: Json) -> str:
    """Type of the input that a first layer of Keras 1 or 2 makes for itself: the dtype of its variables."""
    dtype = recorded_dtype(config.get("input_dtype") or config.get("dtype") or "float32")
    return "float32" if dtype.startswith("mixed_") else dtype


def is_sequential(obj: Json) -> bool:
    """True for the config of a Sequential model, or of a class derived from it."""
    config = obj.get("config")
    if obj.get("class_name") == "Sequential" and not is_of_a_script(obj):
        return True
    layers = config.get("layers") if isinstance(config, dict) and "input_layers" not in config else None
    return (
        isinstance(layers, list) and bool(layers) and is_object(layers[0]) and layers[0]["class_name"] == "InputLayer"
    )


def with_input_layer(obj: Json, where: str) -> Json:
    """Return *obj* with a dict for a config and, where the input shape is recorded, an InputLayer in front.

    A Keras 1 model that begins with ``Merge`` becomes Functional. Layers stay as their era wrote them.

    Raises:
        MalformedArtifactError: the layers are no list of objects.
    """
    config = obj["config"]
    config = dict(config) if isinstance(config, dict) else {"name": obj.get("name") or "sequential_1", "layers": config}
    layers = config.get("layers")
    if not isinstance(layers, list) or not all(map(is_object, layers)):
        raise MalformedArtifactError(where, problem="the layers of a Sequential model are no list of objects")
    layers = config["layers"] = _named(layers)
    shape = config.pop("build_input_shape", None) or _build_shape(obj)
    if layers and layers[0]["class_name"] == "Merge" and "layers" in layers[0]["config"]:
        return _merged(obj, config, where)
    return {**obj, "config": {**config, "layers": [*_front(layers, shape), *layers]}}


def _named(layers: list[Json]) -> list[Json]:
    """Return *layers* with names for the models among them that are lists of layers, and so have none in the file."""
    names = (f"sequential_{number}" for number in itertools.count(1))
    return [
        {**layer, "name": next(names)} if isinstance(layer["config"], list) and not layer.get("name") else layer
        for layer in layers
    ]


def with_build_shape(config: Json) -> Json:
    """Return the *config* of a class derived from Sequential with the input shape that its first layer records.

    Its constructor builds it then. TensorFlow to 2.1 and Keras to 2.3 wrote the shape there and no InputLayer; whether
    a class of the caller's is such a one is known at its call, so that no layer is added to it here.
    """
    layers = config.get("layers")
    if not config.keys() <= {"name", "layers"} or not layers or not all(map(is_object, layers)):
        return config
    shape, _ = _own_input(layers[0])
    return config if shape is None else {**config, "build_input_shape": shape}


def is_object(value: Json) -> bool:
    """True for a serialized layer: the config is a dict, or a list of layers as Keras 1 wrote Sequential models."""
    if not isinstance(value, dict) or not isinstance(value.get("class_name"), str):
        return False
    config = value.get("config")
    return isinstance(config, dict) or (isinstance(config, list) and value["class_name"] == "Sequential")


def _build_shape(obj: Json) -> Json:
    build = obj.get("build_config")
    return build.get("input_shape") if isinstance(build, dict) else None


def _front(layers: list[Json], build_shape: Json) -> list[Json]:
    """The InputLayer that *layers* lack, if their input shape is recorded."""
    if not layers or layers[0]["class_name"] == "InputLayer":
        return []
    shape, dtype = _own_input(layers[0])
    if shape is None and _is_shape(build_shape):
        shape, dtype = build_shape, _INPUT_DTYPES.get(layers[0]["class_name"], dtype)
    return [] if shape is None else [input_layer(shape, dtype=dtype, name=f"{_name_of(layers[0])}_input")]


def _name_of(layer: Json) -> str:
    config = layer["config"]
    return str((config.get("name") if isinstance(config, dict) else None) or layer.get("name") or "sequential")


def _is_shape(value: Json) -> bool:
    return isinstance(value, list) and bool(value) and all(d is None or isinstance(d, int) for d in value)


def _own_input(layer: Json) -> tuple[Json | None, str]:
    """Shape (None where not recorded) and dtype of the input that *layer* was made for."""
    inner = _model_input(layer)
    config = inner if inner is not None else layer["config"] if isinstance(layer["config"], dict) else {}
    shape = config.get("batch_input_shape") or (config.get("batch_shape") if inner is not None else None)
    return shape if _is_shape(shape) else None, input_dtype(config)


def _model_input(layer: Json) -> Json | None:
    """Config of the only InputLayer of a nested model, or None."""
    if is_sequential(layer):
        layer = with_input_layer(layer, _name_of(layer))
    layers = layer["config"].get("layers")
    if not isinstance(layers, list) or not all(map(is_object, layers)):
        return None
    inputs = [inner["config"] for inner in layers if inner["class_name"] == "InputLayer"]
    return inputs[0] if len(inputs) == 1 else None


class _Graph:
    """A Functional model under construction. Layers of the same name are one layer, called again."""

    def __init__(self) -> None:
        self.layers: dict[str, Json] = {}
        self.inputs: list[TensorRef] = []

    def call(self, layer: Json, tensors: Any) -> TensorRef:
        """Call *layer* on *tensors* and return the result."""
        name = _name_of(layer)
        known = self.layers.setdefault(name, {**layer, "name": name, "inbound_nodes": []})
        known["inbound_nodes"].append(write_call(Call((tensors,), {})))
        return TensorRef(name, len(known["inbound_nodes"]) - 1, 0)

    def add_input(self, layer: Json) -> TensorRef:
        """Add an InputLayer, unless the model has it, and return its tensor."""
        name = _name_of(layer)
        ref = TensorRef(name, 0, 0)
        if name not in self.layers:
            self.layers[name] = {**layer, "name": name, "inbound_nodes": []}
            self.inputs.append(ref)
        return ref

    def add_chain(self, layers: Iterable[Json], tensor: TensorRef) -> TensorRef:
        """Call *layers* one after the other, beginning at *tensor*, and return the last result."""
        for layer in layers:
            tensor = self.call(layer, tensor)
        return tensor

    def add_branch(self, branch: Json, where: str) -> TensorRef:
        """Add the layers of a branch of a Merge and return its result."""
        if is_sequential(branch):
            branch = with_input_layer(branch, where)
        config = branch["config"]
        if "output_layers" in config:
            return self._add_graph(config)
        layers = config["layers"] if "layers" in config else [*_front([branch], None), branch]
        if not layers or layers[0]["class_name"] != "InputLayer":
            raise MalformedArtifactError(where, problem="a branch of Merge has no input shape")
        return self.add_chain(layers[1:], self.add_input(layers[0]))

    def _add_graph(self, config: Json) -> TensorRef:
        for layer in config["layers"]:
            if layer["class_name"] == "InputLayer":
                self.add_input(layer)
            else:
                self.layers.setdefault(layer["name"], layer)
        outputs = list(iter_refs(read_tensors(config["output_layers"])))
        return outputs[0]


def _merged(obj: Json, config: Json, where: str) -> Json:
    """A Functional model for a Sequential one that begins with ``Merge``.

    The layers of the branches become layers of the model itself, as in the weights file (``flattened_layers``).
    """
    merge, *rest = config["layers"]
    graph = _Graph()
    branches = [graph.add_branch(branch, where) for branch in merge["config"]["layers"]]
    output = graph.add_chain(rest, graph.call(merge, branches))
    tensors = [entry_of(ref) for ref in (*graph.inputs, output)]
    model = {
        "name": config["name"],
        "layers": list(graph.layers.values()),
        "input_layers": tensors[:-1],
        "output_layers": tensors[-1:],
    }
    return {**obj, "class_name": "Model", "config": model}
