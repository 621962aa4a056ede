"""Layers that tf.keras wrote for TensorFlow functions called on its tensors → layers of safeload.

Layer: dialects. Names are only copied here: the policy judges them by `ALLOWED_SYMBOLS`, and the op of a NodeDef by
its op table.

Source:
    tf_keras 2.21 ``layers/core/tf_op_layer.py`` (TFOpLambda, SlicingOpLambda, ClassMethod, InstanceProperty,
    InstanceMethod), ``engine/base_layer.py`` (TensorFlowOpLayer), ``saving/legacy/json_utils`` (get_json_type).
"""

from __future__ import annotations

from typing import Any

from safeload.dialects._compat_names import COMPAT_MODULE
from safeload.dialects._functional._nodes import Call, TensorRef, Tree, refs_of
from safeload.dialects._functional._symbols import ALLOWED_SYMBOLS
from safeload.errors import IncompatibleVersionError

Json = Any

EXPORT_HINT = "load it with the release that saved it and export a SavedModel: tf.saved_model.save(model, path)"

OPERATION_CLASSES = frozenset(
    {"TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty", "TensorFlowOpLayer"}
)
"""Layers of tf.keras 1.15 to 2.15 and of tf_keras that stand for one TensorFlow function or op."""


def modern_operation(data: Json, calls: tuple[Call, ...], *, where: str) -> tuple[Json, tuple[Call, ...]]:
    """The layer of safeload that does what a layer of `OPERATION_CLASSES` does, and its calls.

    Args:
        data: The serialized layer.
        calls: Its calls.
        where: Name of the layer in the model.

    Raises:
        IncompatibleVersionError: ``incompatible-version``. The saver lost the tensors of a call, as tf.keras does
            with those behind ``*args`` (``tf.einsum``).
    """
    config = data["config"]
    if data["class_name"] == "TensorFlowOpLayer":
        node = {"node_def": config.get("node_def"), "constants": _plain_value(config.get("constants") or {})}
        return _compat("TensorFlowNode", {"name": where, **node}), tuple(_with_flat_inputs(call) for call in calls)
    symbol = _symbol(data["class_name"], config)
    if symbol in ALLOWED_SYMBOLS and not all(map(refs_of, calls)):
        raise IncompatibleVersionError(
            where, problem=f"Keras did not record on which tensors tf.{symbol} was called", hint=EXPORT_HINT
        )
    if symbol == "__operators__.add" and not all(isinstance(call.args[0], TensorRef) for call in calls if call.args):
        symbol = "math.add"  # the operator is a method of tensors, and a constant is recorded as a number or list
    return _compat("TensorFlowSymbol", {"name": where, "function": symbol}), tuple(_plain_call(call) for call in calls)


def _compat(class_name: str, config: dict[str, Json]) -> Json:
    return {"module": COMPAT_MODULE, "class_name": class_name, "config": config, "registered_name": None}


def _symbol(class_name: str, config: Json) -> str:
    """What the layer calls. Methods and properties of ragged tensors are in no table of permitted functions."""
    if class_name == "ClassMethod":
        return f"{config.get('cls_symbol')}.{config.get('method_name')}"
    if class_name in ("InstanceMethod", "InstanceProperty"):
        return f"RaggedTensor.{config.get('attr_name')}"
    return str(config.get("function"))


def _with_flat_inputs(call: Call) -> Call:
    first = call.args[0]
    return call._replace(args=tuple(first) if isinstance(first, list) else (first,))


def _plain_call(call: Call) -> Call:
    """*call* with arguments as Keras 3 writes them; ``name`` only named the op in the graph."""
    args = tuple(_plain_value(value) for value in call.args)
    return Call(args, {key: _plain_value(value) for key, value in call.kwargs.items() if key != "name"})


def _plain_value(value: Tree) -> Tree:
    if isinstance(value, TensorRef):
        return value
    if isinstance(value, list):
        return [_plain_value(item) for item in value]
    return _plain_dict(value) if isinstance(value, dict) else value


def _plain_dict(value: dict[str, Tree]) -> Tree:
    if value.keys() == {"start", "stop", "step"}:
        parts = {key: _plain_value(item) for key, item in value.items()}
        # Keras 3 finds tensors in dicts and not in slices; the layer makes the slice when it is called.
        has_tensor = any(isinstance(item, TensorRef) for item in value.values())
        return parts if has_tensor else {"class_name": "__slice__", "config": parts}
    match value.get("class_name"):
        case "__ellipsis__":
            return {"class_name": "__ellipsis__", "config": {}}
        case "TensorShape" | "__tuple__":
            return _plain_value(value.get("items"))
        case "__tensor__" | "__numpy__" if isinstance(value.get("config"), dict):
            return value["config"].get("value")
    return {key: _plain_value(item) for key, item in value.items()}
