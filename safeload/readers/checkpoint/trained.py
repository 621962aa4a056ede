"""The places in a model of variables that a checkpoint keeps under their optimizer. Layer: readers.

A variable has one key: the first of the shortest paths to it. In ``tf.train.Checkpoint(model=model, optimizer=opt)``
that leads through the list of what an optimizer of Keras 3 trains, and says nothing of the model.

Source: tensorflow/python/checkpoint/graph_view.py, tensorflow/python/trackable/trackable_utils.py (2.21), which has
``escape_local_name``; ``_trainable_variables`` and ``_iterations`` in keras/src/optimizers/base_optimizer.py (3.15.1),
which is ``iterations`` there in 3.3.3.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from safeload.errors import MalformedArtifactError

TRAINED = "_trainable_variables"
_OF_OPTIMIZERS = frozenset({"_iterations", "iterations"})
_LONGEST_PATH = 1000
"""Characters of a path that is followed: names repeat in the paths of all that is below them."""


def places_in_models(graph: Any, *, where: str) -> dict[str, str]:
    """Return the keys that lead through optimizers, each with the key of the shortest path that does not.

    Args:
        graph: A `TrackableObjectGraph`.
        where: How messages name the checkpoint.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. It names an object that it has not.
    """
    paths, trained = {0: ""}, set[int]()
    waiting = deque(range(len(graph.nodes))[:1])  # the root, if there is one
    while waiting:
        at = waiting.popleft()
        children = {child.local_name: child.node_id for child in graph.nodes[at].children}
        if not all(0 <= child < len(graph.nodes) for child in children.values()):
            raise MalformedArtifactError(where, problem="the graph of its objects names one that is not there")
        if TRAINED in children and not _OF_OPTIMIZERS.isdisjoint(children):
            trained.add(children.pop(TRAINED))
        for name, child in children.items():
            path = f"{paths[at]}{name.replace('.', '..').replace('/', '.S')}/"
            if child not in paths and len(path) <= _LONGEST_PATH:
                paths[child] = path
                waiting.append(child)
    variables = {child.node_id for optimizer in trained for child in graph.nodes[optimizer].children}
    return {
        attribute.checkpoint_key: f"{paths[variable]}.ATTRIBUTES/{attribute.name}"
        for variable in sorted(variables & paths.keys())
        for attribute in graph.nodes[variable].attributes
        if f"/{TRAINED}/" in attribute.checkpoint_key
    }
