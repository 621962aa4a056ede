"""Keras files made by hand and in memory, without Keras."""

from __future__ import annotations

import json

import h5py
import numpy as np
from bytes_by_hand import zipped

from safeload.readers.protobuf import message_class

CONFIG = {"class_name": "Sequential", "config": {"name": "m", "layers": []}}
LAYERS = {
    "dense": {"dense/kernel:0": np.arange(6, dtype="f4").reshape(2, 3), "dense/bias:0": np.zeros(3, "f4")},
    "activation": {},
}


def hdf5_bytes(build, **options):
    """Return the bytes of an HDF5 file that *build* fills."""
    with h5py.File("memory", "w", driver="core", backing_store=False, **options) as file:
        build(file)
        file.flush()
        return file.id.get_file_image()


def _unchanged(file):
    """Leave a file as it is."""


def model_h5(change=_unchanged, config=CONFIG, version="2.15.0"):
    """Make a Keras model in HDF5 as Keras 1 and 2 lay it out: layer → weight name → array; *change* changes it."""

    def build(file):
        file.attrs["model_config"] = json.dumps(config) if isinstance(config, dict) else config
        file.attrs["keras_version"] = version.encode()
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name in LAYERS]
        root.attrs["backend"] = "tensorflow"
        for name, weights in LAYERS.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [weight.encode() for weight in weights]
            for weight, value in weights.items():
                group.create_dataset(weight, data=value)
        change(file)

    return hdf5_bytes(build)


def weights_h5(change=_unchanged):
    """Make weights by the paths of objects, as Keras 3 does; *change* changes them."""

    def build(file):
        file.create_dataset("layers/dense/vars/0", data=np.arange(6, dtype="f4").reshape(2, 3))
        file.create_dataset("layers/dense/vars/1", data=np.zeros(3, "f4"))
        change(file)

    return hdf5_bytes(build)


def archive(members=(), **options):
    """Make a Keras archive; members given by name replace or add, None leaves out."""
    files = {
        "metadata.json": json.dumps({"keras_version": "3.15.1", "date_saved": "2026-01-01", "n": 1}),
        "config.json": json.dumps(CONFIG),
        "model.weights.h5": weights_h5(),
        **dict(members),
    }
    return zipped({name: content for name, content in files.items() if content is not None}, **options)


def untraced(directory, metadata, change=_unchanged, *, is_beside=True, identifier="_tf_keras_sequential"):
    """Write a SavedModel without functions: the metadata of Keras stand in a file of their own or in the graph."""
    directory.mkdir()
    saved_model = message_class("SavedModel")(saved_model_schema_version=1)
    graph = saved_model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    root = graph.object_graph_def.nodes.add().user_object
    root.identifier = identifier
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    if is_beside:
        saved = message_class("KerasSavedMetadata")()
        saved.nodes.add(node_path="root.layer-0", metadata="{}")
        saved.nodes.add(node_path="root", metadata=text)
        (directory / "keras_metadata.pb").write_bytes(saved.SerializeToString())
    else:
        root.metadata = text
    change(graph)
    (directory / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    return directory
