"""Layers of tf.keras that stand for TensorFlow functions."""

from __future__ import annotations

from typing import Any

import pytest
from keras2_configs import history, layers_of, normal, simple

from safeload.dialects import ALLOWED_SYMBOLS
from safeload.errors import IncompatibleVersionError


def rewritten(class_name: str, node: Any, **config: Any) -> dict[str, Any]:
    """Return the layer that stands for one of tf.keras 2.15."""
    return layers_of(normal(simple(class_name, node, **config), "2.15.0"))["y"]


class TestSymbols:
    """Layers TFOpLambda and their like."""

    def test_arguments(self) -> None:
        """Tensors and constants keep their places; the name of the op is dropped."""
        found = rewritten("TFOpLambda", ["x", 0, 0, {"y": 2.0, "name": None, "z": ["x", 0, 0]}], function="math.add")
        (call,) = found["inbound_nodes"]
        assert (found["module"], found["class_name"]) == ("safeload.compat", "TensorFlowSymbol")
        assert found["config"] == {"name": "y", "function": "math.add"}
        assert call["kwargs"].keys() == {"y", "z"}

    def test_a_constant_first(self) -> None:
        """The first argument may be no tensor."""
        found = rewritten("TFOpLambda", ["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0]}], function="math.subtract")
        assert found["inbound_nodes"][0]["args"] == [1.0]

    def test_lists_of_one_tensor_stay(self) -> None:
        """Stacking one tensor is not the tensor."""
        found = rewritten("TFOpLambda", [["x", 0, 0, {"axis": 0}]], function="stack")
        assert history(found["inbound_nodes"][0]["args"][0][0]) == ["x", 0, 0]

    def test_slices(self) -> None:
        """Slices, the ellipsis and shapes are written as Keras 3 reads them, a slice up to a tensor as a dict."""
        spec = [
            {"start": None, "stop": ["x", 0, 0], "step": 2},
            {"class_name": "__ellipsis__"},
            {"start": None, "stop": 3, "step": None},
        ]
        shape = {"class_name": "TensorShape", "items": [1, 2]}
        node = [
            "x",
            0,
            0,
            {
                "slice_spec": spec,
                "shape": shape,
                "n": {"class_name": "__numpy__", "config": {"value": 3}},
                "d": {"a": 1},
            },
        ]
        kwargs = rewritten("SlicingOpLambda", node, function="__operators__.getitem")["inbound_nodes"][0]["kwargs"]
        assert kwargs["slice_spec"][0].keys() == {"start", "stop", "step"}
        assert history(kwargs["slice_spec"][0]["stop"]) == ["x", 0, 0]
        assert kwargs["slice_spec"][2]["class_name"] == "__slice__"
        assert kwargs["slice_spec"][1] == {"class_name": "__ellipsis__", "config": {}}
        assert (kwargs["shape"], kwargs["n"], kwargs["d"]) == ([1, 2], 3, {"a": 1})

    @pytest.mark.parametrize(
        ("class_name", "config", "symbol"),
        [
            (
                "ClassMethod",
                {"cls_symbol": "RaggedTensor", "method_name": "from_row_splits"},
                "RaggedTensor.from_row_splits",
            ),
            ("InstanceProperty", {"attr_name": "values"}, "RaggedTensor.values"),
            ("InstanceMethod", {"attr_name": "to_list"}, "RaggedTensor.to_list"),
        ],
    )
    def test_methods_are_named(self, class_name: str, config: dict[str, str], symbol: str) -> None:
        """Methods and properties become symbols, for the policy to judge."""
        found = rewritten(class_name, ["x", 0, 0, {}], **config)
        assert found["config"]["function"] == symbol
        assert symbol not in ALLOWED_SYMBOLS

    @pytest.mark.parametrize("constant", [1.0, [0.0, 1.0]])
    def test_a_constant_before_a_tensor(self, constant: Any) -> None:
        """It is no tensor any more, whose operator could be called."""
        node = ["_CONSTANT_VALUE", -1, constant, {"y": ["x", 0, 0], "name": None}]
        assert rewritten("TFOpLambda", node, function="__operators__.add")["config"]["function"] == "math.add"
        node = ["x", 0, 0, {"y": [0.0, 1.0], "name": None}]
        assert rewritten("TFOpLambda", node, function="__operators__.add")["config"]["function"] == "__operators__.add"

    def test_lost_tensors(self) -> None:
        """A permitted function without its tensors cannot be right; any other is left to the policy."""
        node = ["_CONSTANT_VALUE", -1, "bi,bj->bij", {}]
        with pytest.raises(IncompatibleVersionError, match="einsum"):
            rewritten("TFOpLambda", node, function="einsum")
        assert rewritten("TFOpLambda", node, function="io.read_file")["config"]["function"] == "io.read_file"

    def test_nothing_with_effects_is_listed(self) -> None:
        """The table holds functions of values alone."""
        words = (
            "file",
            "load",
            "py_func",
            "print",
            "function",
            "save",
            "session",
            "summary",
            "data.",
            "map_fn",
            "while",
        )
        assert not [name for name in ALLOWED_SYMBOLS if any(word in name for word in words)]


class TestNodeDefs:
    """The layer TensorFlowOpLayer."""

    def test_inputs_are_flat(self) -> None:
        """Each tensor is an argument; constants stay beside the node."""
        node_def = {"name": "Mul", "op": "Mul", "input": ["x", "y"]}
        found = rewritten(
            "TensorFlowOpLayer", [["x", 0, 0, {}], ["x", 0, 0, {}]], node_def=node_def, constants={"1": 2.0}
        )
        assert len(found["inbound_nodes"][0]["args"]) == 2
        assert found["config"] == {"name": "y", "node_def": node_def, "constants": {"1": 2.0}}

    def test_one_input(self) -> None:
        """A single tensor is the only argument."""
        found = rewritten("TensorFlowOpLayer", [["x", 0, 0, {}]], node_def={"op": "Relu"})
        assert history(found["inbound_nodes"][0]["args"][0]) == ["x", 0, 0]
