"""The files that a MetaGraph names as its assets. Layer: readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safeload.readers.protobuf import message_class, parse_message

if TYPE_CHECKING:
    from collections.abc import Iterator

_ASSETS_COLLECTION = "saved_model_assets"
"""Source: ASSETS_KEY, tensorflow/python/saved_model/constants.py (2.21)."""


def asset_definitions(meta_graph: Any) -> Iterator[Any]:
    """Yield the AssetFileDefs; TensorFlow 1 kept them in a collection, which loaders read where there are no others.

    Source: tensorflow/python/saved_model/builder_impl.py (TF 1.15), ``get_asset_tensors`` in loader_impl.py (TF 2.21).
    """
    yield from meta_graph.asset_file_def
    if not meta_graph.asset_file_def and _ASSETS_COLLECTION in meta_graph.collection_def:
        for packed in meta_graph.collection_def[_ASSETS_COLLECTION].any_list.value:
            if packed.Is(message_class("AssetFileDef").DESCRIPTOR):
                yield parse_message("AssetFileDef", packed.value, where=f"collection {_ASSETS_COLLECTION}")
