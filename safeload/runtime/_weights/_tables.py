"""Vocabularies that TensorFlow's checkpoints hold as the tables of lookup layers. Layer: runtime.

Source: ``layers/preprocessing/index_lookup.py`` and ``text_vectorization.py`` of tensorflow/python/keras in TensorFlow
2.3.4 and 2.5.3; 2.8.4 keeps no words in checkpoints.
"""

from __future__ import annotations

from typing import Any, cast

from safeload.dialects import NormalForm
from safeload.errors import LoadFailedError
from safeload.readers import KerasArtifact, WeightsFile
from safeload.readers.checkpoint.texts import decode_texts
from safeload.runtime._keras._package import is_own_class
from safeload.runtime._weights._layers import LayerOrder
from safeload.runtime._weights._ledger import Ledger
from safeload.runtime._weights._paths import CheckpointFinder
from safeload.runtime._weights._states import learns_words

_TABLE = "/_table/.ATTRIBUTES/table-"
_RENAMED = {"_index_lookup_layer": "_lookup_layer"}


def take_tables(model: Any, artifact: KerasArtifact, normal: NormalForm | None, ledger: Ledger) -> None:
    """Give lookup layers the words that the checkpoint has for them, where none are in the config.

    Raises:
        LoadFailedError: ``load-failed``. A table is not what such a layer makes of a vocabulary.
    """
    import numpy as np

    owners = [key.removesuffix(f"{_TABLE}keys") for key in ledger.unread if key.endswith(f"{_TABLE}keys")]
    finder = CheckpointFinder(model, LayerOrder(model, normal))
    for owner in owners:
        path = "/".join(_RENAMED.get(part, part) for part in owner.split("/"))
        lookup = next((x for x in map(finder.find, (path, path.partition("/")[2])) if _takes_words(x)), None)
        if lookup is None:
            continue
        columns = [_column(ledger, f"{owner}{_TABLE}{column}") for column in ("keys", "values")]
        words = _words(lookup, *columns)
        if words is None:
            raise LoadFailedError(
                artifact.where,
                problem=f"the vocabulary of the layer {lookup.name!r} is not the one of its table",
                hint="save the model again as .keras, or export it as a SavedModel",
            )
        if words:
            # Of a list, Keras makes an array in which every word has the width of the longest.
            lookup.set_vocabulary(np.array(words, dtype=object if isinstance(words[0], str) else None))


def _takes_words(layer: Any) -> bool:
    """Tell whether *layer* is a lookup that waits for words and for nothing else, such as their weights."""
    return layer is not None and is_own_class(layer) and learns_words(layer) and layer.output_mode != "tf_idf"


def _words(lookup: Any, keys: list[Any], values: list[Any]) -> list[Any] | None:
    """Return the words behind those for masks and unknown ones, in order; None if the table has gaps, or others.

    Tables have the word for masks, first or beyond all, and those of TensorFlow 2.3 the one for unknown words.
    """
    indices, words = (keys, values) if lookup.invert else (values, keys)
    table = dict(zip(indices, words, strict=True))
    special = [lookup.mask_token, lookup.oov_token]
    start = lookup._token_start_index()  # noqa: SLF001 - no public name
    found = sorted(index for index, word in table.items() if word not in special)
    if len(table) < len(words) or found != list(range(start, start + len(found))):
        return None
    return [table[index] for index in found]


def _column(ledger: Ledger, key: str) -> list[Any]:
    if key not in ledger.unread or ledger.unread[key].dtype != "string":
        return list(ledger.read(key).tolist())
    dataset = ledger.unread.pop(key)
    data = bytearray(dataset.nbytes)
    cast("WeightsFile", ledger.artifact.weights_file).read_into(key, data)
    try:
        return decode_texts(bytes(data), dataset.shape[0])
    except ValueError as cause:
        raise ledger.mismatch([f"{key} is no list of texts"]) from cause
