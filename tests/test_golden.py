"""Files of old releases: the report says what they hold, and they compute what the release computed."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from safeload import inspect_model, load_callable

GOLDEN = Path(__file__).with_name("golden")


class Expected(NamedTuple):
    """What the report says of a golden file.

    Attributes:
        flavour: Which Keras wrote it.
        version: Of Keras, or of TensorFlow where no Keras was.
        call: The signature that a load would choose.
        layers: Names of the layers.
        weights: How many arrays and elements it needs.
    """

    flavour: str | None
    version: str
    call: str
    layers: tuple[str, ...] = ()
    weights: tuple[int, int] = (4, 51)


OLD = ("dense_1_input", "dense_1", "dropout_1", "dense_2")
NEW = ("dense_input", "dense", "dropout", "dense_1")
FILES = {
    "keras-1.2.2.h5": Expected(
        "keras1", "1.2.2", "model(dense_1_input: float32 [None, 4]) -> (dense_2: unknown […])", OLD
    ),
    "keras-2.3.1.h5": Expected(
        "keras2", "2.3.1", "model(dense_1_input: float32 [None, 4]) -> (dense_2: unknown […])", OLD
    ),
    "tensorflow-2.4.h5": Expected(
        "tf.keras", "2.4.0", "model(dense_input: float32 [None, 4]) -> (dense_1: unknown […])", NEW
    ),
    "tensorflow-2.15.keras": Expected(
        "tf.keras", "2.15.0", "model(dense_input: float32 [None, 4]) -> (dense_1: unknown […])", NEW
    ),
    "keras-3.0.5.keras": Expected(
        "keras3",
        "3.0.5",
        "model(input_layer: float32 [None, 4]) -> (dense_1: unknown […])",
        ("input_layer", "dense", "dropout", "dense_1"),
    ),
    "tensorflow-1.4.1": Expected(
        None, "1.4.1", "serving_default(x: float32 [None, 4]) -> (probs: float32 [None, 3])", weights=(2, 15)
    ),
    "keras-3.15.1-jax": Expected(
        "keras3",
        "2.20.0",
        "serving_default(keras_tensor: float32 [None, 4]) -> (output_0: float32 [None, 3])",
        weights=(2, 15),
    ),
}
WARNINGS = {"keras-3.15.1-jax": ["stablehlo-module"]}


@pytest.mark.parametrize("name", FILES)
def test_report(name: str) -> None:
    """The report names the release, the signature, the layers and the size of the weights."""
    report = inspect_model(GOLDEN / name)
    producer, weights = report.producer, report.info.weights
    assert weights is not None
    found = Expected(
        producer.keras_flavour,
        producer.keras_version or str(producer.tensorflow_version),
        str(report.outcome.signature),
        tuple(layer.name for layer in report.info.keras.root.layers) if report.info.keras is not None else (),
        (weights.arrays, weights.elements),
    )
    assert found == FILES[name]
    assert (report.verdict, [finding.rule for finding in report.findings]) == ("fine", WARNINGS.get(name, []))


@pytest.mark.parametrize("name", FILES)
def test_outputs(name: str) -> None:
    """The loaded function gives what the release computed."""
    if name == "keras-3.15.1-jax" and tuple(map(int, version("tensorflow").split(".")[:2])) < (2, 20):
        pytest.skip("TensorFlow before 2.20 does not read the StableHLO of JAX 0.8")
    arrays: Any = np.load(GOLDEN / f"{name.removesuffix('.h5').removesuffix('.keras')}.npz")
    function = load_callable(GOLDEN / name, signature="both" if name == "tensorflow-1.4.1" else None)
    found = function(arrays["in_0"])
    outputs = list(found.values()) if isinstance(found, dict) else [found]
    for index, output in enumerate(outputs):
        np.testing.assert_allclose(output, arrays[f"out_{index}"], rtol=1e-5, atol=1e-6)
