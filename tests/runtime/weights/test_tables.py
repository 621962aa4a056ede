"""Vocabularies in the tables of checkpoints, as lookup layers of TensorFlow 2.3 to 2.5 leave them there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from safeload import load_callable
from safeload.errors import LoadFailedError
from safeload.runtime._weights import _tables

NO_INDEX = (1 << 63) - 1
"""Index of masked words where they are not counted."""

LOOKUP = {"max_tokens": None, "num_oov_indices": 1, "output_mode": "int", "invert": False, "pad_to_max_tokens": False}
STRINGS = {"dtype": "string", **LOOKUP, "mask_token": "", "oov_token": "[UNK]", "vocabulary": None, "encoding": "utf-8"}
NUMBERS = {"dtype": "int64", **LOOKUP, "mask_token": 0, "oov_token": -1, "vocabulary": None}
TEXTS = {
    "dtype": "string", "max_tokens": None, "standardize": None, "split": "whitespace", "ngrams": None,
    "output_mode": "int", "output_sequence_length": None, "pad_to_max_tokens": False,
}  # fmt: skip


def saved(path: Path, keys: Any, values: Any, *, inner: str | None = None) -> Path:
    """Write a checkpoint whose first layer with weights has the table *keys* to *values*."""
    columns = [tf.constant(column, tf.string if isinstance(column[0], str) else tf.int64) for column in (keys, values)]
    default = "" if isinstance(values[0], str) else -1
    table = tf.lookup.experimental.MutableHashTable(*(c.dtype for c in columns), default)
    table.insert(*columns)
    layer = tf.train.Checkpoint(_table=table)
    layer = tf.train.Checkpoint(**{inner: layer}) if inner else layer
    return Path(tf.train.Checkpoint(**{"layer_with_weights-0": layer}).write(str(path / "ck")))


def called(checkpoint: Path, x: Any, class_name: str = "StringLookup", **config: Any) -> Any:
    """Load a model of one layer of TensorFlow 2.5 with the weights of *checkpoint*, and call it."""
    x, config = np.array(x), {"name": "y", "trainable": True, **config}
    dtype = "string" if x.dtype.kind == "U" else "int64"
    start = {"batch_input_shape": [None, x.shape[1]], "dtype": dtype, "name": "x", "sparse": False, "ragged": False}
    layers = [
        {"class_name": "InputLayer", "config": start, "name": "x", "inbound_nodes": []},
        {
            "class_name": class_name,
            "config": {"name": "y", **config},
            "name": "y",
            "inbound_nodes": [[["x", 0, 0, {}]]],
        },
    ]
    model = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["y", 0, 0]]}
    architecture = checkpoint.with_suffix(".json")
    architecture.write_text(json.dumps({"class_name": "Functional", "config": model, "keras_version": "2.5.0"}))
    return load_callable(checkpoint, architecture=architecture)(x).numpy().tolist()


@pytest.mark.parametrize("unknown", [[], ["[UNK]"]])
def test_words(tmp_path: Path, unknown: list[str]) -> None:
    """They are sorted by their numbers, which begin behind those for masks and unknown words."""
    path = saved(tmp_path, ["", "b", "é" * 100, *unknown], [0, 3, 2, *[1] * len(unknown)])
    assert called(path, [["b", "é" * 100, "", "?"]], **STRINGS) == [[3, 2, 0, 1]]


def test_words_that_are_counted(tmp_path: Path) -> None:
    """Without a number for masks, the masked word is beyond all."""
    path = saved(tmp_path, ["b", "a", ""], [2, 1, NO_INDEX])
    assert called(path, [["b", "b", "", "?"]], **{**STRINGS, "output_mode": "count"}) == [[1, 0, 2]]


def test_several_numbers_for_unknown_words(tmp_path: Path) -> None:
    """The first word comes behind all of them."""
    assert called(saved(tmp_path, ["", "a"], [0, 3]), [["a", ""]], **{**STRINGS, "num_oov_indices": 2}) == [[3, 0]]


def test_numbers_to_words(tmp_path: Path) -> None:
    """An inverse table has the numbers as keys."""
    path = saved(tmp_path, [0, 3, 2], ["", "b", "a"])
    assert called(path, [[3, 2, 0, 9]], **{**STRINGS, "invert": True}) == [[b"b", b"a", b"", b"[UNK]"]]


def test_numbers(tmp_path: Path) -> None:
    """Words may be numbers."""
    assert called(saved(tmp_path, [0, 7, 5], [0, 3, 2]), [[5, 7, 0, 8]], "IntegerLookup", **NUMBERS) == [[2, 3, 0, 1]]


def test_texts(tmp_path: Path) -> None:
    """The layer inside of a TextVectorization had another name."""
    path = saved(tmp_path, ["", "b", "a"], [0, 3, 2], inner="_index_lookup_layer")
    assert called(path, [["b ? a"]], "TextVectorization", **TEXTS) == [[3, 1, 2]]


@pytest.mark.parametrize("numbers", [[0, 1, 2], [0, 2, 4], [0, 2, 2]])
def test_tables_with_other_numbers(tmp_path: Path, numbers: list[int]) -> None:
    """Inverse tables of TensorFlow 2.3 have no place for unknown words, as Keras 3 has; others have gaps."""
    with pytest.raises(LoadFailedError, match="vocabulary of the layer 'y' is not the one of its table"):
        called(saved(tmp_path, ["", "a", "b"], numbers), [["a"]], **STRINGS)


def test_tables_without_words(tmp_path: Path) -> None:
    """A layer that learned nothing has no words."""
    with pytest.raises(LoadFailedError, match="vocabulary of the layer 'y' is not in the file"):
        called(saved(tmp_path, [""], [0]), [["a"]], **STRINGS)


def test_texts_that_are_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The array is named."""

    def fail(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(_tables, "decode_texts", fail)
    with pytest.raises(LoadFailedError, match="is no list of texts"):
        called(saved(tmp_path, ["", "a"], [0, 2]), [["a"]], **STRINGS)
