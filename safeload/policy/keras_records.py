"""What Keras recorded in a SavedModel beside its graph: rules for loaders that build objects of it. Layer: policy.

`load_callable` runs the graph, and none of this is read. ``load_model`` of Keras 2 revives layers from it, bytecode of
Lambda layers included, whatever ``safe_mode`` says; Keras 3 takes the directory for another model where it can.

Source: tf_keras/src/saving/legacy/saved_model/load.py (2.21); keras/src/saving/saving_api.py (3.15.1).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from safeload.policy._finding import Finding, Severity
from safeload.policy.keras import examine_recorded
from safeload.readers import SavedModelArtifact
from safeload.readers.protobuf import parse_message

if TYPE_CHECKING:
    from safeload.readers import Artifact

_FILE, _GRAPH = "keras_metadata.pb", "saved_model.pb"
_ARCHIVE = frozenset({"config.json", "model.weights.h5"})
"""Files that make a directory an unzipped Keras archive."""


def examine_records(artifact: Artifact) -> Iterator[Finding]:
    """Yield what is wrong with everything that any Keras may build of *artifact* instead of running its graph.

    Raises:
        MalformedArtifactError: ``malformed-artifact``. What Keras recorded is broken.
    """
    if not isinstance(artifact, SavedModelArtifact):
        return
    if artifact.files.keys() >= _ARCHIVE:
        message = "'config.json' is a second model, and Keras 3 loads this one"
        hint = "remove the one that does not belong to the model"
        yield Finding("two-graphs", Severity.UNEXAMINED, "config.json", f"beside {_GRAPH}", message, hint)
    for where, text in _texts(artifact):
        try:
            tree = json.loads(text)
        except (ValueError, RecursionError):
            continue  # nothing is built of it
        yield from examine_recorded(tree, where)


def _texts(artifact: SavedModelArtifact) -> Iterator[tuple[str, str]]:
    for meta_graph in artifact.saved_model.meta_graphs:
        for number, node in enumerate(meta_graph.object_graph_def.nodes):
            if node.user_object.metadata:
                yield f"{_GRAPH}[{number}]", node.user_object.metadata
    if artifact.keras_metadata is not None:
        saved = parse_message("KerasSavedMetadata", artifact.keras_metadata, where=f"{artifact.where}/{_FILE}")
        for number, node in enumerate(saved.nodes):
            yield f"{_FILE}[{number}]", node.metadata
