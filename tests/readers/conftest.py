"""Builders of Keras files, by hand and in memory."""

from __future__ import annotations

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

CONFIG = {"class_name": "Sequential", "config": {"name": "m", "layers": []}}


def hdf5_bytes(build, **options):
    """The bytes of an HDF5 file that *build* fills."""
    with h5py.File("memory", "w", driver="core", backing_store=False, **options) as file:
        build(file)
        file.flush()
        return file.id.get_file_image()


def fill_legacy(root, layers):
    """The layout of Keras 1 and 2: layer → weight name → array."""
    root.attrs["layer_names"] = [name.encode() for name in layers]
    for name, weights in layers.items():
        group = root.create_group(name)
        group.attrs["weight_names"] = [w.encode() for w in weights]
        for weight, value in weights.items():
            group.create_dataset(weight, data=value)


LAYERS = {
    "dense": {"dense/kernel:0": np.arange(6, dtype="f4").reshape(2, 3), "dense/bias:0": np.zeros(3, "f4")},
    "activation": {},
}


@pytest.fixture
def hdf5():
    """Build HDF5 bytes by a function of the open file."""
    return hdf5_bytes


@pytest.fixture
def model_h5():
    """Build a Keras HDF5 model, with changes made by a function of the open file."""

    def make(change=None, config=CONFIG, **options):
        def build(file):
            file.attrs["model_config"] = json.dumps(config) if isinstance(config, dict) else config
            file.attrs["keras_version"] = b"2.15.0"
            root = file.create_group("model_weights")
            fill_legacy(root, LAYERS)
            root.attrs["backend"] = "tensorflow"
            if change is not None:
                change(file)

        return hdf5_bytes(build, **options)

    return make


@pytest.fixture
def weights_h5():
    """Build weights by object paths, with changes made by a function of the open file."""

    def make(change=None):
        def build(file):
            file.create_dataset("layers/dense/vars/0", data=np.arange(6, dtype="f4").reshape(2, 3))
            file.create_dataset("layers/dense/vars/1", data=np.zeros(3, "f4"))
            if change is not None:
                change(file)

        return hdf5_bytes(build)

    return make


@pytest.fixture
def archive(weights_h5):
    """Build a Keras archive; members given by name replace or add, None leaves out."""

    def make(members=None, method=zipfile.ZIP_STORED):
        files = {
            "metadata.json": json.dumps({"keras_version": "3.15.1", "date_saved": "2026-01-01", "n": 1}),
            "config.json": json.dumps(CONFIG),
            "model.weights.h5": weights_h5(),
            **(members or {}),
        }
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as file:
            for name, content in files.items():
                if content is not None:
                    file.writestr(name, content)
        return buffer.getvalue()

    return make
