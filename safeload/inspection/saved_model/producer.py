"""Who wrote a SavedModel, as far as it says. Layer: inspection.

Keras 2 leaves its version in the metadata of the root object, inside the graph
before TensorFlow 2.5 and in ``keras_metadata.pb`` since. Keras 3 leaves the
attributes of its ``ExportArchive``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safeload.inspection._info import ProducerInfo
from safeload.readers.keras.json import metadata_of

if TYPE_CHECKING:
    from safeload.readers import SavedModelArtifact

_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


def describe_saved_model_producer(artifact: SavedModelArtifact, metadata: Mapping[str, Any]) -> ProducerInfo:
    """Say who wrote *artifact*, whose root object Keras recorded as *metadata*."""
    first = artifact.saved_model.meta_graphs[0]
    version = first.meta_info_def.tensorflow_version or None
    nodes = first.object_graph_def.nodes
    recorded = metadata_of(metadata)
    keras_version = recorded.get("keras_version")
    flavour = _flavour_of_version(keras_version) or _flavour_of_export(nodes[0] if nodes else None, version)
    return ProducerInfo(keras_version, flavour, version, recorded.get("backend"))


def _flavour_of_version(version: str | None) -> str | None:
    """TensorFlow 2.16 made Keras 3 its default; Keras 2 has been the package tf_keras since."""
    if version is None:
        return None
    found = _VERSION.match(version)
    return "tf_keras" if found and (int(found[1]), int(found[2])) >= (2, 16) else "tf.keras"


def _flavour_of_export(root: Any, tensorflow_version: str | None) -> str | None:
    """Tell the ``ExportArchive`` classes apart by their attributes.

    Source: keras/src/export/saved_model.py (3.0 to 3.15) and tf_keras/src/export/export_lib.py (2.13 to 2.21).
    """
    names = {reference.local_name for reference in root.children} if root is not None else set()
    if "_misc_assets" not in names:
        return None
    return _flavour_of_version(tensorflow_version) if "_endpoint_names" in names else "keras3"
