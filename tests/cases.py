"""The matrix as data: format × producer × feature, with a reason for every cell left out."""

from __future__ import annotations

from itertools import product

import pytest

from safeload.cli._models import RECIPES

FORMATS = ("keras-hdf5", "keras-archive", "weights-hdf5", "saved-model", "frozen-graph", "tf1-checkpoint")
PRODUCERS = ("keras", "tf_keras", "tensorflow", "tf1")
FEATURES = tuple(dict.fromkeys(recipe.feature for recipe in RECIPES))


def library(producer):
    """Import what *producer* writes with; skip the test where it is not installed."""
    return pytest.importorskip("tensorflow" if producer == "tf1" else producer)


CASES = {(recipe.format, recipe.producer, recipe.feature): recipe for recipe in RECIPES}

_KERAS_FEATURES = {"mlp", "lstm", "cnn", "two-inputs", "custom-objects"}
_KERAS_FILES = {"keras-hdf5", "keras-archive", "weights-hdf5"}
_GRAPH_FILES = {"frozen-graph", "tf1-checkpoint"}
_OF_SAVED_MODELS = {"call", "one-signature", "other-method", "versioned-parent", "vocabulary", "zipped"}


def _reason(format_: str, producer: str, feature: str) -> str:
    if format_ in _GRAPH_FILES or feature in {"constants", "meta"}:
        return "a graph with constants or with a checkpoint is one row each: TensorFlow 1 writes them"
    if producer in {"tensorflow", "tf1"}:
        if format_ in _KERAS_FILES:
            return "plain TensorFlow writes no Keras file"
        if feature in _KERAS_FEATURES | {"named-keras", "json-architecture", "export", "save"}:
            return "a feature of Keras models"
        if producer == "tf1":
            return "objects, methods and assets of TF2; the TF1 builder has its own row"
        return "several MetaGraphs are written by the TF1 builder alone"
    if feature in {*_OF_SAVED_MODELS, "two-metagraphs"}:
        return "a feature of plain SavedModels"
    if format_ == "saved-model":
        return "a Keras SavedModel is written by export (Keras 3) or save (tf_keras), one row each"
    if feature in {"export", "save"}:
        return "writes SavedModels"
    if format_ == "weights-hdf5" or feature == "json-architecture":
        return "weights with an architecture are one row: the features lie in the architecture"
    return "the name of the file plays no part; one row shows it"


NOT_APPLICABLE = {cell: _reason(*cell) for cell in product(FORMATS, PRODUCERS, FEATURES) if cell not in CASES}
