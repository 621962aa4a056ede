"""What layers run as a NodeDef says is judged as the graphs of SavedModels are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hostile.keras_configs import entry, functional, info_of, keras2, tensor
from keras_files import model_h5

from safeload import inspect_model
from safeload.dialects import COMPAT_MODULE
from safeload.policy import examine_graphs
from safeload.policy.keras_nodes import examine_nodes

if TYPE_CHECKING:
    from safeload.policy import Finding

_MANY = 10**9


def _layer(op: str, constants: Any = None, *args: Any, **attributes: Any) -> Any:
    """Return a layer that runs *op*, called on a tensor and *args*."""
    node_def = {"name": "n", "op": op, "input": ["a", "b"], "attr": {k: {"type": v} for k, v in attributes.items()}}
    layer = entry("TensorFlowNode", "n", module=COMPAT_MODULE, source="inp", node_def=node_def, constants=constants)
    layer["inbound_nodes"][0]["args"] += args
    return layer


def _found(layer: Any) -> list[Finding]:
    return list(examine_nodes(info_of(functional(layer))))


@pytest.mark.parametrize(
    ("layer", "rule"),
    [
        (_layer("RFFT", {"1": [0]}), "impossible-window"),
        (_layer("BroadcastTo", {"1": [_MANY, 4]}, T="DT_FLOAT"), "allocation"),
        (_layer("BroadcastTo", {"7": [_MANY, 4]}, T="DT_FLOAT"), "allocation"),  # at the end, which is the next place
        (_layer("Pad", {"1": [[0, 0], [0, _MANY]]}, T="DT_FLOAT"), "allocation"),
        (_layer("Fill", {"0": [True, _MANY]}, T="DT_FLOAT"), "allocation"),
        (_layer("RFFT", {"1": [False]}), "impossible-window"),
        (_layer("Reshape", {"1": [[[3]]]}), "constant-shape"),
        (_layer("InplaceUpdate", {"1": [0], "2": [[6.0]]}), "in-place"),
        (_layer("ParseTensor", out_type="DT_RESOURCE"), "forged-handle"),
        (_layer("Mul", {"one": 1}), "tensorflow-symbol"),
        (_layer("Mul", [1]), "tensorflow-symbol"),
        (_layer("Mul", {"1": 10**400}), "tensorflow-symbol"),
        (_layer("RFFT", None, [0]), "tensorflow-symbol"),
        (_layer("RFFT", None, {"class_name": "__numpy__", "config": {"value": [0]}}), "tensorflow-symbol"),
        (_layer("Mul", T="DT_NONE_SUCH"), "tensorflow-symbol"),
        (entry("TensorFlowNode", "n", module=COMPAT_MODULE, source="inp"), "tensorflow-symbol"),
        (keras2("TensorFlowNode", node_def={"op": "InplaceAdd"}), "in-place"),
    ],
)
def test_hostile_nodes(layer: Any, rule: str) -> None:
    """Constants are those of the config, in the places in which TensorFlow gets them."""
    found = _found(layer)
    assert {finding.rule for finding in found} == {rule}
    assert found[0].where.startswith("$.config.layers[2]")


@pytest.mark.parametrize(
    "constants",
    [
        {"1": 0.5},
        {"1": [1, 2.5]},
        {"1": []},
        {"1": [[], []]},
        {"1": [True]},
        {"1": [[1], [1, 2]]},
        {"1": ["a"]},
        {"1": 1 << 63},
        None,
    ],
    ids=str,
)
def test_harmless_nodes(constants: Any) -> None:
    """Numbers are harmless, and lists that are no arrays fail where they are made a tensor."""
    assert _found(_layer("Mul", constants)) == []


def test_each_call() -> None:
    """A layer may be called several times, and each call is a node."""
    layer = _layer("RFFT", {"2": [0]})
    layer["inbound_nodes"] += [{"args": [tensor("inp")] * count, "kwargs": {}} for count in (2, 3)]
    assert [finding.where for finding in _found(layer)] == ["$.config.layers[2]/graph/call0"]


def test_no_nodes() -> None:
    """Other layers and other formats have none."""
    info = info_of(functional())
    assert list(examine_nodes(info)) == list(examine_graphs(info)) == []


def test_files_of_keras_2() -> None:
    """A file of tf.keras names the layer otherwise; a finding can be permitted by name."""
    node = {"class_name": "TensorFlowOpLayer", "name": "n", "inbound_nodes": [[["x", 0, 0, {}]]]}
    node_def = {"name": "n", "op": "RFFT", "input": ["x", "c"], "attr": {"Treal": {"type": "DT_FLOAT"}}}
    node["config"] = {"name": "n", "trainable": True, "node_def": node_def, "constants": {"1": [0]}}
    first = {"class_name": "InputLayer", "name": "x", "inbound_nodes": []}
    first["config"] = {"name": "x", "batch_input_shape": [None, 4], "dtype": "float32"}
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["n", 0, 0]]}
    config = {"class_name": "Functional", "config": {"name": "m", "layers": [first, node], **ends}}
    (finding,) = inspect_model(model_h5(config=config, version="2.4.0")).findings
    assert finding.rule == "impossible-window"
    assert finding.identifier is not None
    assert finding.identifier.startswith("op:RFFT:$.config.layers[1]/graph/call0@sha256:")
