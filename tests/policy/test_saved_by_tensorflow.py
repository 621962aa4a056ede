"""Models that the installed TensorFlow saves must have no finding: the rules against the real thing."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from safeload import inspect_model
from safeload.policy import Severity

if TYPE_CHECKING:
    from pathlib import Path

_SAVE = """
import sys
import tensorflow as tf

root = sys.argv[1]


class Text(tf.Module):
    def __init__(self):
        vocabulary = root + "/vocabulary.txt"
        open(vocabulary, "w").write("a\\nb\\n")
        source = tf.lookup.TextFileInitializer(
            vocabulary, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = tf.lookup.StaticHashTable(source, -1)
        self.weights = tf.Variable([1.0, 2.0])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, x):
        tf.print("looking up", x)
        tf.debugging.assert_rank(x, 1)
        return tf.gather(self.weights, self.table.lookup(x) % 2)


class Numbers(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([], tf.int32)])
    def __call__(self, n):
        total = tf.constant(0)
        while total < n:
            total += tf.random.uniform([], 1, 3, tf.int32)
        dataset = tf.data.Dataset.range(4).map(lambda v: v * 2).batch(2).cache()
        return dataset.reduce(tf.cast(total, tf.int64), lambda a, b: a + tf.reduce_sum(b))


class Images(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, x):
        decode = lambda v: tf.image.resize(tf.io.decode_jpeg(v, channels=3), [8, 8])
        return tf.map_fn(decode, x, fn_output_signature=tf.float32)


for kind in (Text, Numbers, Images):
    tf.saved_model.save(kind(), f"{root}/{kind.__name__.lower()}")
tf.saved_model.save(tf.saved_model.load(f"{root}/text"), f"{root}/text_again")
graph = tf.Graph()
with graph.as_default(), tf.compat.v1.Session() as session:
    x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
    y = x * tf.compat.v1.get_variable("w", [], use_resource=False)
    session.run(tf.compat.v1.global_variables_initializer())
    tf.compat.v1.saved_model.simple_save(session, f"{root}/tf1", {"x": x}, {"y": y})
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save the models in a process of their own."""
    root = tmp_path_factory.mktemp("saved")
    script = root / "save.py"  # tf.function reads the source of its Python function
    script.write_text(_SAVE)
    subprocess.run([sys.executable, str(script), str(root)], check=True, capture_output=True)
    return root


@pytest.mark.parametrize("name", ["text", "text_again", "numbers", "images", "tf1"])
def test_ordinary_model_has_no_refusal(saved: Path, name: str) -> None:
    """Tables, printing, assertions, loops, datasets, images, variables of TensorFlow 1: nothing refuses them."""
    found = inspect_model(saved / name).findings
    assert not [finding for finding in found if finding.severity >= Severity.WARNING]
