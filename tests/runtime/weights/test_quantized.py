"""Quantized layers as releases of Keras 3 saved them."""

from __future__ import annotations

import io
import json
import zipfile
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from safeload import load_callable
from safeload.errors import IncompatibleVersionError, LoadFailedError

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(2, 6)).astype("float32")
KERNEL = GENERATOR.integers(-127, 128, (6, 5)).astype("int8")
SCALE = GENERATOR.uniform(50, 100, 5).astype("float32")
BIAS = GENERATOR.normal(size=5).astype("float32")
INSTALLED = tuple(int(number) for number in version_of("keras").split(".")[:2])
knows_int4 = pytest.mark.skipif(INSTALLED < (3, 12), reason="needs Keras 3.12 or later: earlier ones know no int4")
knows_gptq = pytest.mark.skipif(INSTALLED < (3, 13), reason="needs Keras 3.13 or later: earlier ones have no GPTQ")


def _config(name: str, dtype: str = "int8_from_float32", **options: Any) -> dict[str, Any]:
    inputs = {"name": "x", "batch_shape": [None, 6], "dtype": "float32", "sparse": False}
    named = [("InputLayer", inputs), (name, {"name": "n", "dtype": dtype, **options})]
    layers = [{"module": "keras.layers", "class_name": name, "config": item} for name, item in named]
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": layers}}


def _archive(path: Path, version: str, config: Any, arrays: dict[str, Any]) -> Path:
    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        for key, array in arrays.items():
            file[f"layers/{key}"] = array
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("model.weights.h5", stored.getvalue())
    return path


def _computed(kernel: Any = KERNEL) -> Any:
    """Inputs in 255 steps up to the largest of their row, times integers, over both scales."""
    scale = 127 / (np.abs(X).max(axis=-1, keepdims=True) + 1e-7)
    return np.round(X * scale) @ kernel.astype("float32") / (scale * SCALE)


@pytest.mark.parametrize(
    ("version", "arrays"),
    [("3.1.1", [BIAS, KERNEL, SCALE[None]]), ("3.2.1", [KERNEL, BIAS, SCALE]), ("3.3.3", [KERNEL, BIAS, SCALE])],
)
def test_dense(version: str, arrays: list[Any], tmp_path: Path) -> None:
    """Bias, kernel and a scale with an axis too many, or today's order."""
    numbered = {f"dense/vars/{index}": array for index, array in enumerate(arrays)}
    found = load_callable(_archive(tmp_path / "m.keras", version, _config("Dense", units=5), numbered))(X)
    np.testing.assert_allclose(np.asarray(found), _computed() + BIAS, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("version", "scale"), [("3.1.1", (1, SCALE[None])), ("3.2.1", (2, SCALE)), ("3.3.3", (1, SCALE))]
)
def test_dense_without_a_bias(version: str, scale: tuple[int, Any], tmp_path: Path) -> None:
    """Keras 3.2 leaves the number of the bias out."""
    arrays = {"dense/vars/0": KERNEL, f"dense/vars/{scale[0]}": scale[1]}
    config = _config("Dense", units=5, use_bias=False)
    found = load_callable(_archive(tmp_path / "m.keras", version, config, arrays))(X)
    np.testing.assert_allclose(np.asarray(found), _computed(), rtol=1e-4, atol=1e-5)


def test_dense_in_hdf5(tmp_path: Path) -> None:
    """There the arrays have names, and the scale of Keras 3.1 the same axis too many."""
    config = _config("Dense", units=5)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs.update(keras_version="3.1.1", backend="tensorflow", model_config=json.dumps(config))
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"n"]
        layer = weights.create_group("n")
        layer.attrs["weight_names"] = [b"bias", b"kernel", b"kernel_scale"]
        layer["bias"], layer["kernel"], layer["kernel_scale"] = BIAS, KERNEL, SCALE[None]
    found = load_callable(tmp_path / "m.h5")(X)
    np.testing.assert_allclose(np.asarray(found), _computed() + BIAS, rtol=1e-4, atol=1e-5)


def test_embeddings_with_scales_of_columns(tmp_path: Path) -> None:
    """As many rows as columns would hide it."""
    arrays = {"embedding/vars/0": KERNEL[:5], "embedding/vars/1": SCALE}
    config = _config("Embedding", input_dim=5, output_dim=5)
    with pytest.raises(IncompatibleVersionError, match=r"^n: it is quantized with a scale for each column"):
        load_callable(_archive(tmp_path / "m.keras", "3.3.3", config, arrays))


def test_quantized_weights_of_a_layer_that_is_not(tmp_path: Path) -> None:
    """As of those inside MultiHeadAttention, whose config has no policy for them."""
    arrays = {"dense/vars/0": KERNEL, "dense/vars/1": BIAS, "dense/vars/2": SCALE}
    config = _config("Dense", "float32", units=5)
    with pytest.raises(IncompatibleVersionError, match=r"^layers/dense: its weights are quantized, and the config"):
        load_callable(_archive(tmp_path / "m.keras", "3.15.0", config, arrays))


def _packed(kernel: Any, axis: int) -> Any:
    """Two integers of four bits in one byte, the first of them in its lower half; an odd end is filled with zero."""
    rows = np.moveaxis(kernel, axis, 0)
    rows = np.concatenate([rows, np.zeros((len(rows) % 2, *rows.shape[1:]), "int8")])
    return np.moveaxis((rows[::2] & 15) | (rows[1::2] << 4), 0, axis)


@knows_int4
@pytest.mark.parametrize(
    ("version", "dtype", "axis"),
    [("3.13.2", "int4_from_float32", 0), ("3.14.0", "int4_from_float32", 1), ("3.14.0", "int4/-1_from_float32", 1)],
)
def test_int4_is_packed_as_the_installed_keras_does_or_refused(
    version: str, dtype: str, axis: int, tmp_path: Path
) -> None:
    """Up to Keras 3.13 rows are packed, and inputs quantized; the shapes differ, and what is computed, too."""
    packs_rows, packed_rows = INSTALLED < (3, 14), axis == 0
    if packs_rows and "/" in dtype:
        pytest.skip("needs Keras 3.14 or later: earlier ones do not know the policy")
    kernel = (KERNEL.astype("int64") % 16 - 8).astype("int8")
    arrays = {"dense/vars/0": _packed(kernel, axis), "dense/vars/1": BIAS, "dense/vars/2": SCALE}
    path = _archive(tmp_path / "m.keras", version, _config("Dense", dtype, units=5), arrays)
    if packs_rows is not packed_rows:
        with pytest.raises(IncompatibleVersionError, match=r"^n: (the saver|the installed .*), a Keras before 3\.14, "):
            load_callable(path)
        return
    expected = _computed(kernel) if packs_rows else X @ (kernel / SCALE)
    np.testing.assert_allclose(np.asarray(load_callable(path)(X)), expected + BIAS, rtol=1e-4, atol=1e-4)


PACKED = GENERATOR.integers(0, 256, (5, 6)).astype("uint8")
CALIBRATED = [BIAS, PACKED, 1 / SCALE[:, None], np.full((5, 1), 120, "uint8"), np.zeros(6, "float32")]


def _saved_by_gptq(path: Path, version: str, arrays: list[Any]) -> Path:
    numbered = {f"dense/vars/{index}": array for index, array in enumerate(arrays)}
    return _archive(path, version, _config("Dense", "gptq/8/-1_from_float32", units=5), numbered)


@knows_gptq
def test_gptq(tmp_path: Path) -> None:
    """Bias, packed kernel, scales, zero points and groups, as Keras 3.13 numbers them."""
    found = load_callable(_saved_by_gptq(tmp_path / "m.keras", "3.13.2", CALIBRATED))(X)
    expected = X @ ((PACKED.astype("float32") - 120) / SCALE[:, None]).T + BIAS
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4, atol=1e-5)


@knows_gptq
def test_gptq_that_did_not_calibrate_a_layer(tmp_path: Path) -> None:
    """Keras marks all layers and calibrates those in blocks; the others computed with a kernel that it does not save.

    Seen with Keras 3.13.2, which loads such a file and computes with zeros.
    """
    arrays = [BIAS, np.zeros_like(PACKED), np.ones((5, 1), "float32"), np.zeros((5, 1), "uint8"), CALIBRATED[4]]
    with pytest.raises(LoadFailedError, match="GPTQ did not calibrate the layer 'n': its float kernel, ") as caught:
        load_callable(_saved_by_gptq(tmp_path / "m.keras", "3.13.2", arrays))
    assert "model.export(path)" in str(caught.value.hint)


@knows_gptq
def test_gptq_without_zero_points(tmp_path: Path) -> None:
    """Keras 3.14 and 3.15 do not save them, and cannot load what they saved."""
    with pytest.raises(LoadFailedError, match="^layers/dense: the file has its packed kernel without the zero points"):
        load_callable(_saved_by_gptq(tmp_path / "m.keras", "3.15.1", CALIBRATED[:3] + CALIBRATED[4:]))


@knows_gptq
def test_gptq_of_a_class_of_the_callers(tmp_path: Path) -> None:
    """It has the policy, and not the arrays of Keras's layers: what it does with the policy is its own affair."""

    class Own(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x + 1

        _gptq_call = call

    made = keras.Sequential([keras.Input((2,)), Own(dtype="gptq/8/-1_from_float32"), keras.layers.Dense(1)])
    made.save(tmp_path / "m.keras")
    loaded = load_callable(tmp_path / "m.keras", custom_objects={"Own": Own})
    np.testing.assert_allclose(loaded(X[:, :2]), made(X[:, :2]), rtol=1e-6)


class _Characters:
    """What calibration calls a tokenizer."""

    def tokenize(self, text: str) -> Any:
        return np.array([ord(character) % 20 for character in text])


@pytest.mark.parametrize("mode", ["gptq", "awq"])
@knows_gptq
def test_calibrated_layers_in_hdf5(mode: str, tmp_path: Path) -> None:
    """There all arrays have names, the zero points too."""
    made = getattr(keras.quantizers, f"{mode.upper()}Config", None)
    if made is None:
        pytest.skip(f"this Keras has no {mode}")
    embedding = keras.layers.Embedding(20, 8)
    block = keras.Sequential([keras.layers.Dense(8), keras.layers.EinsumDense("abc,cd->abd", (None, 4))])
    model = keras.Sequential([keras.Input((6,), dtype="int32"), embedding, block])
    structure = {"pre_block_layers": [embedding], "sequential_blocks": [block]}
    model.get_quantization_layer_structure = lambda _: structure
    calibration = made(["a text to see"], _Characters(), num_samples=2, sequence_length=6, group_size=4)
    model.quantize(mode, config=calibration, filters="^(dense|einsum)")
    model.save(tmp_path / "m.h5")
    tokens = np.arange(12, dtype="int32").reshape(2, 6)
    np.testing.assert_allclose(load_callable(tmp_path / "m.h5")(tokens), model(tokens), rtol=1e-5, atol=1e-6)
