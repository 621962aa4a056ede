"""The formats that safeload tells apart. The values are the strings of reports."""

from __future__ import annotations

from enum import Enum


class Format(Enum):
    """What the bytes of an artifact are."""

    KERAS_HDF5 = "keras-hdf5"
    KERAS_ARCHIVE = "keras-archive"
    KERAS_DIRECTORY = "keras-directory"
    SAVED_MODEL = "saved-model"
    WEIGHTS_HDF5 = "weights-hdf5"
    CHECKPOINT = "checkpoint"
    TF1_CHECKPOINT = "tf1-checkpoint"
    FROZEN_GRAPH = "frozen-graph"
    TFLITE = "tflite"
    KERAS_JSON = "keras-json"
    ARCHIVE = "archive"
    FOREIGN = "foreign"
    """A known kind of file that is no TensorFlow model, such as a pickle, PyTorch, ONNX, HTML, a git-LFS pointer …"""
