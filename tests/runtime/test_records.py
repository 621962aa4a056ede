"""Graphs that parse ``tf.Example`` records take the features by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from saved_models import load, save_parser

from safeload import ModelCallable
from safeload.errors import InputMismatchError

DENSE, WORDS, COUNTS = [[1.0, 2.0], [3.0, 4.0]], [["a"], ["b", "c"]], [5, 6]


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> ModelCallable:
    """A signature that parses records and returns what it found."""
    path: Path = tmp_path_factory.mktemp("parser") / "saved"
    save_parser(str(path))
    return load(path)


@pytest.mark.parametrize(
    "features",
    [
        {"dense": DENSE, "words": WORDS, "count": COUNTS},
        {"dense": np.array(DENSE), "words": tf.ragged.constant(WORDS), "count": np.array(COUNTS, np.int32)},
        {"dense": tf.constant(DENSE), "words": [["a"], [b"b", b"c"]], "count": tf.constant([[5], [6]])},
    ],
    ids=["lists", "numpy", "tensors"],
)
def test_features_by_name(parser: ModelCallable, features: dict[str, Any]) -> None:
    """Columns of features mean the records that hold them, as keywords and as one mapping."""
    for outputs in (parser(features), parser(**features)):
        np.testing.assert_array_equal(outputs["dense"], DENSE)
        np.testing.assert_array_equal(outputs["words"], [[b"a", b""], [b"b", b"c"]])
        np.testing.assert_array_equal(outputs["count"], COUNTS)


def test_defaults_and_records(parser: ModelCallable) -> None:
    """Features with a default may be left out, and records are taken as ever."""
    outputs = parser(dense=DENSE)
    np.testing.assert_array_equal(outputs["count"], [9, 9])
    assert outputs["words"].shape == (2, 0)
    features = tf.train.Features(feature={"dense": tf.train.Feature(float_list={"value": DENSE[0]})})
    record = tf.train.Example(features=features).SerializeToString()
    np.testing.assert_array_equal(parser([record])["dense"], DENSE[:1])
    np.testing.assert_array_equal(parser(examples=[record])["dense"], DENSE[:1])


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        ({"dense": DENSE, "word": WORDS}, "there is no feature 'word'"),
        ({"count": COUNTS}, "missing 'dense'"),
        ({"dense": DENSE, "count": [5]}, "columns of 1 and 2 rows"),
        ({"dense": [[1.0]]}, "feature 'dense' has 1 values in a record, expected 2"),
        ({"dense": DENSE, "count": [1.5, 2.0]}, "feature 'count' cannot be int64: it holds float64"),
        ({"dense": DENSE, "count": [1 << 63, 2]}, "feature 'count' cannot be int64"),
        ({"dense": [[[1.0], [1.0, 2.0]]]}, "feature 'dense' cannot be float32"),
        ({"dense": 1.0}, "feature 'dense' has no rows"),
        ({"dense": DENSE, "words": "ab"}, "feature 'words' has no rows"),
        ({"dense": tf.sparse.from_dense(DENSE)}, "feature 'dense' is a SparseTensor"),
    ],
)
def test_features_that_do_not_fit(parser: ModelCallable, features: dict[str, Any], problem: str) -> None:
    """What is wrong with a feature is said, and which there are."""
    with pytest.raises(InputMismatchError, match=problem):
        parser(features)
