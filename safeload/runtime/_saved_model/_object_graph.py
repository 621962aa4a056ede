"""An object graph as `tf.saved_model.load` may see it. Layer: runtime.

The loader does what an object graph says, however odd it is: it makes lists as long as an attribute's name, and changes
classes of TensorFlow for the whole process.

Source: `_add_object_graph_edges` in load.py, `_set_list_item` in trackable/data_structures.py (TensorFlow 2.21).
"""

from __future__ import annotations

from typing import Any

from tensorflow.python.saved_model import registration, revived_types

from safeload.runtime._saved_model._devices import device_here

_CALL = "__call__"
_LISTS = frozenset({"trackable_list_wrapper", "trackable_tuple_wrapper"})
"""Objects whose attributes are named for their positions. Source: the end of trackable/data_structures.py."""

_MAX_POSITION = 65_536
"""Lists hold anything, and only objects are recorded; a list of a million numbers before one object takes minutes."""


def prepare_objects(object_graph: Any) -> None:
    """Take out of *object_graph* what no call needs and loading does not survive.

    Raises:
        ValueError: A list is longer than lists are.
    """
    for node in object_graph.nodes:
        if node.HasField("resource"):
            node.resource.device = device_here(node.resource.device)
        del node.slot_variables[:]  # they need the optimizer's class
        calls = [index for index, child in enumerate(node.children) if child.local_name == _CALL]
        if calls and _has_shared_class(node):
            for index in reversed(calls):
                del node.children[index]
        if node.user_object.identifier in _LISTS:
            _require_positions(node.children)


def _has_shared_class(node: Any) -> bool:
    """Tell whether other objects have the class of what *node* becomes: calling the one would call all of them."""
    is_revived = node.user_object.identifier in revived_types._REVIVED_TYPE_REGISTRY  # noqa: SLF001 - there is no other
    is_registered = registration.get_registered_class(node.registered_name) is not None
    return is_revived or is_registered or node.WhichOneof("kind") != "user_object"


def _require_positions(children: Any) -> None:
    for child in children:
        position = child.local_name
        # Neither a number with a sign, nor one with so many digits that reading it takes long.
        if not position.isdecimal() or len(position) > len(str(_MAX_POSITION)) or int(position) > _MAX_POSITION:
            raise ValueError(f"a list has an object at position {position[:20]!r}")
