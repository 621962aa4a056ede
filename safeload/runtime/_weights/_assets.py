"""Vocabularies and other files that a Keras archive keeps beside its weights.

Layer: runtime.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safeload.dialects import NormalForm
from safeload.errors import LoadFailedError
from safeload.formats import TemporaryFolder, writing
from safeload.readers import KerasArtifact
from safeload.runtime._keras._package import flat_layers, is_own_class
from safeload.runtime._weights._layers import LayerOrder
from safeload.runtime._weights._paths import PathFinder
from safeload.runtime._weights._states import learns_words

_VOCABULARY = "vocabulary.txt"


def load_assets(model: Any, artifact: KerasArtifact, normal: NormalForm | None) -> None:
    """Give each layer the assets that the archive holds for it.

    A layer of the caller reads its assets from a directory, so each gets a private one with the judged contents.

    Raises:
        LoadFailedError: ``load-failed``. Assets belong to no layer of the model, or contradict one another.
    """
    if not artifact.assets:
        return
    directories: dict[str, dict[str, bytes]] = {}
    for path, content in artifact.assets.items():
        owner, _, name = path.replace("\\", "/").rpartition("/")
        directories.setdefault(owner, {})[name] = content
    finder = PathFinder(model, LayerOrder(model, normal), directories)
    known: dict[Any, bytes] = {}
    for owner, files in directories.items():
        layer = finder.find(owner)
        if layer is None or not hasattr(layer, "load_assets"):
            name = "/".join(filter(None, ("assets", owner, min(files))))
            raise LoadFailedError(
                artifact.where,
                problem=f"no layer takes the file {name[:160]!r} of the archive",
                hint="use the architecture and the classes that this file was saved from, or remove what was added",
            )
        lookup = getattr(layer, "_lookup_layer", layer)
        if is_own_class(lookup) and learns_words(lookup) and _VOCABULARY in files:
            content = files[_VOCABULARY]
            problem = _set_words(lookup, content) if known.setdefault(lookup, content) == content else _TWO
            if problem:
                hint = "save the model again, with the vocabulary in the config of the layer"
                raise LoadFailedError(
                    artifact.where, problem=f"the vocabulary of the layer {layer.name!r} {problem}", hint=hint
                )
        else:
            _load(layer, files, artifact.where)


_TWO = "is in the file twice, and the two differ"


def require_vocabularies(model: Any, artifact: KerasArtifact) -> None:
    """Check that every lookup layer has its vocabulary, which HDF5 files of Keras 2 and 3 leave out.

    Raises:
        LoadFailedError: ``load-failed``. The file does not hold the vocabulary of a layer.
    """
    for layer in flat_layers(model):
        table = getattr(layer, "lookup_table", None)
        if table is not None and not _has_entries(table):
            raise LoadFailedError(
                artifact.where,
                problem=f"the vocabulary of the layer {layer.name!r} is not in the file",
                hint="save the model again as .keras, or export it as a SavedModel",
            )


def _has_entries(table: Any) -> bool:
    import tensorflow as tf

    try:
        return int(table.size()) > 0
    except tf.errors.FailedPreconditionError:
        return False


def _load(layer: Any, files: dict[str, bytes], where: str) -> None:
    folder = TemporaryFolder(where)
    try:
        with writing(where):
            for name, content in files.items():
                (folder.path / Path(name).name).write_bytes(content)
        layer.load_assets(str(folder.path))
    finally:
        folder.remove()


def _set_words(lookup: Any, content: bytes) -> str | None:
    """Give *lookup* the words of a file, as Keras's ``load_assets`` does with its lines, or say why they are others.

    Of a list, Keras makes an array in which every word has the width of the longest.
    """
    import numpy as np

    words = _words(content, lookup)
    if lookup.vocabulary_dtype != "string":
        vocabulary = np.array([int(word) for word in words])
    else:
        try:
            vocabulary = np.array(_as_looked_up(words, lookup.encoding), dtype=object)
        except (LookupError, UnicodeError):
            return f"has words that its encoding {lookup.encoding!r} has not"
    weights = {"idf_weights": np.full(len(words), np.nan)} if lookup.output_mode == "tf_idf" else {}
    recorded = getattr(lookup, "_frozen_vocab_size", None)
    lookup.set_vocabulary(vocabulary, **weights)
    found = lookup.vocabulary_size()
    # Words with line feeds are several when they are read.
    return None if recorded in {None, found} else f"has {found:,} words, and its config says {recorded:,}"


def _as_looked_up(words: list[str], encoding: str) -> list[str | bytes]:
    """Return *words* as the table had them: Keras decodes its bytes by the encoding of the layer when it saves.

    Source: ``_tensor_vocab_to_numpy`` of keras/src/layers/preprocessing/string_lookup.py (3.0 to 3.15.1).
    """
    return [word if word.isascii() else word.encode(encoding) for word in words]


def _words(content: bytes, lookup: Any) -> list[str]:
    """Return the words of a vocabulary file, which Keras writes with line feeds between them.

    Keras 3.15 breaks lines at other characters too, at which words do not end, and drops an empty word at the end,
    which is one unless it is that of masks. Windows writes two characters in place of every line feed.

    Source: ``save_assets`` and ``load_assets`` of keras/src/layers/preprocessing/index_lookup.py (3.0 to 3.15.1).
    """
    text = content.decode()
    is_windows = "\n" in text and text.count("\n") == text.count("\r\n")
    words = text.split("\r\n" if is_windows else "\n") if text else []
    while words[-1:] == [""] and (lookup.vocabulary_dtype != "string" or lookup.mask_token == ""):
        words.pop()
    return words
