"""Functional models as Keras 1 and 2 wrote them, and what to look at in their normal form."""

from __future__ import annotations

from typing import Any

from safeload.dialects import NormalForm, normalise
from safeload.formats import Format


def normal(config: Any, version: str) -> NormalForm:
    """Return the normal form of an HDF5 config of Keras *version*."""
    return normalise(config, {"keras_version": version, "backend": "tensorflow"}, Format.KERAS_HDF5)


def layer(class_name: str, name: str, *nodes: Any, **config: Any) -> dict[str, Any]:
    """Return a layer of a Functional model."""
    return {"class_name": class_name, "name": name, "config": {"name": name, **config}, "inbound_nodes": list(nodes)}


def source(name: str, *shape: int | None) -> dict[str, Any]:
    """Return an InputLayer of Keras 2."""
    return layer("InputLayer", name, batch_input_shape=[None, *shape], dtype="float32", sparse=False)


def model(*layers: Any, inputs: Any, outputs: Any, name: str = "m") -> dict[str, Any]:
    """Return a Functional model of Keras 2."""
    config = {"name": name, "layers": list(layers), "input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Model", "config": config}


def simple(class_name: str, *node: Any, **config: Any) -> dict[str, Any]:
    """Return a model of one input, one layer ``y`` called by *node*, and its output."""
    return model(source("x", 4), layer(class_name, "y", *node, **config), inputs=[["x", 0, 0]], outputs=[["y", 0, 0]])


def layers_of(form: NormalForm) -> dict[str, dict[str, Any]]:
    """Return the layers of a normal form by name."""
    return {each["config"].get("name", each.get("name")): each for each in form.config["config"]["layers"]}


def history(tensor: Any) -> list[Any]:
    """Return where a tensor of a node comes from."""
    found: list[Any] = tensor["config"]["keras_history"]
    return found
