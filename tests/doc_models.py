"""The files that README and documentation name: small models, made by the installed releases.

Everything lies in one directory, in which the examples run.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import shutil
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

LAYERS = '''"""Custom layers of a project."""

import keras


class Scale(keras.layers.Layer):
    """Multiplies by a number."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
'''

KERAS2_LAYERS = '''"""Custom layers for Keras 2."""

import tf_keras


class Shift(tf_keras.layers.Layer):
    """Adds one."""

    def call(self, x):
        return x + 1
'''

LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 132735\n"


def make_models(home: Path) -> None:
    """Write every file that a page names into *home*."""
    (home / "my_project").mkdir()
    (home / "my_project" / "__init__.py").touch()
    (home / "my_project" / "layers.py").write_text(LAYERS)
    (home / "my_project" / "keras2_layers.py").write_text(KERAS2_LAYERS)
    sys.path.insert(0, str(home))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            for make in (
                _keras_files,
                _custom_files,
                _era_files,
                _saved_models,
                _tf1_models,
                _other_files,
                _broken_files,
            ):
                make(home)
    finally:
        sys.path.remove(str(home))
        forget_project()


def forget_project() -> None:
    """Unload the modules of the example project, so that each page imports them itself."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "my_project"]:
        del sys.modules[name]


def _classifier(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((4,), name="features"),
            layers.Dense(8, "relu", name="hidden"),
            layers.Dense(3, "softmax", name="species"),
        ]
    )


def _keras_files(home: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    model = _classifier(keras)
    model.save(home / "model.keras")
    model.save(home / "model.h5")
    model.save_weights(home / "model.weights.h5")
    (home / "model.json").write_text(model.to_json())
    model.export(str(home / "exported"))
    shutil.copy(home / "model.h5", home / "misnamed.keras")
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    layers = keras.layers
    outputs = {"kind": layers.Dense(3, name="kind")(left), "score": layers.Dense(1, name="score")(right)}
    keras.Model([left, right], outputs).save(home / "two_inputs.keras")


def _custom_files(home: Path) -> None:
    import keras
    from my_project.layers import Scale

    layers = keras.layers
    custom = keras.Sequential([layers.Input((4,), name="x"), Scale(3.0, name="scale"), layers.Dense(1, name="dense")])
    custom.save(home / "custom.keras")
    custom.save(home / "custom.h5")
    Scale.__module__ = "old_project.layers"  # as if the class had moved since
    custom.save(home / "moved.keras")
    lambdas = keras.Sequential([layers.Input((4,)), layers.Lambda(lambda x: x * 2, name="double")])
    lambdas.save(home / "lambda.keras")
    _replace_code(home / "lambda.keras", home / "old_lambda.keras", _bytecode_of_python_3_8())


def _bytecode_of_python_3_8() -> str:
    # A code object of 3.8 has one int more than one of 3.11 in front of its bytecode; there unmarshalling fails.
    head = b"\xe3" + struct.pack("<6i", 1, 0, 0, 1, 2, 67)
    body = b"s\x08\x00\x00\x00|\x00d\x01\x14\x00S\x00" + b")\x02Ni\x02\x00\x00\x00" * 4
    return base64.b64encode(head + body).decode()


def _replace_code(source: Path, target: Path, code: str) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data)
                config["config"]["layers"][1]["config"]["function"]["config"]["code"] = code
                data = json.dumps(config).encode()
            new.writestr(name, data)


def _era_files(home: Path) -> None:
    import h5py
    import tensorflow as tf
    import tf_keras
    from my_project.keras2_layers import Shift

    layers = tf_keras.layers
    image = layers.Input((8, 8, 3))
    keras2 = tf_keras.Sequential([image, layers.DepthwiseConv2D(3), layers.Flatten(), layers.Dense(2)])
    keras2.save(home / "keras2.h5")
    inputs = layers.Input((4,))
    tf_keras.Model(inputs, tf.math.abs(layers.Dense(3)(inputs))).save(home / "keras2_op.h5")
    tf_keras.Sequential([layers.Input((4,)), Shift()]).save(home / "shift.h5")
    sigmoid = tf_keras.Sequential([layers.Input((1,)), layers.Activation("hard_sigmoid")])
    sigmoid.compile(loss="mse")
    sigmoid.save(home / "hard_sigmoid.h5")
    sigmoid.compile(tf_keras.optimizers.legacy.Adam(), "mse")
    sigmoid.save(home / "old_optimizer.h5")
    with h5py.File(home / "old_optimizer.h5", "r+") as file:  # Keras 2.2 called it so
        file.attrs["training_config"] = file.attrs["training_config"].replace('"learning_rate"', '"lr"')


def _saved_models(home: Path) -> None:
    import tensorflow as tf

    class Scorer(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(tf.ones((4, 3)))

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
        def __call__(self, x: Any) -> Any:
            return tf.matmul(x, self.kernel)

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
        def regress(self, x: Any) -> Any:
            return tf.reduce_sum(x, axis=-1)

        @tf.function(input_signature=[tf.TensorSpec([None, 4], name="b"), tf.TensorSpec([None, 4], name="a")])
        def subtract(self, b: Any, a: Any) -> Any:
            return b - a

    class Reader(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.string, name="path")])
        def __call__(self, path: Any) -> Any:
            return tf.io.read_file(path)

    scorer = Scorer()
    save = tf.saved_model.save
    save(scorer, str(home / "module"))
    save(scorer, str(home / "signatures"), signatures={"classify": scorer.__call__, "regress": scorer.regress})
    save(scorer, str(home / "one_signature"), signatures={"classify": scorer.__call__})
    save(scorer, str(home / "subtract"), signatures={"serving_default": scorer.subtract})
    for version in ("1", "2"):
        save(scorer, str(home / "versions" / version))
    save(Reader(), str(home / "reader"))
    save(tf.train.Checkpoint(kernel=scorer.kernel), str(home / "variables_only"))


def _tf1_models(home: Path) -> None:
    _tf1_model(home / "tf1", "x", ({"train"}, {"serve"}))
    _tf1_model(home / "keyword", "in", ({"serve"},))


def _tf1_model(path: Path, name: str, tag_sets: tuple[set[str], ...]) -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    builder = v1.saved_model.Builder(str(path))
    for tags in tag_sets:
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None, 4], name="x")
            y = tf.matmul(x, v1.get_variable("kernel", initializer=tf.ones((4, 3))))
            session.run(v1.global_variables_initializer())
            signature = v1.saved_model.predict_signature_def({name: x}, {"scores": y})
            if tags == tag_sets[0]:
                builder.add_meta_graph_and_variables(session, list(tags), {"serving_default": signature})
            else:
                builder.add_meta_graph(list(tags), {"serving_default": signature})
    builder.save()


def _other_files(home: Path) -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        tf.matmul(x, tf.ones((4, 3)), name="scores")
    (home / "frozen.pb").write_bytes(graph.as_graph_def().SerializeToString())
    shutil.make_archive(str(home / "packed"), "zip", home, "exported")
    converter = tf.lite.TFLiteConverter.from_saved_model(str(home / "exported"))
    (home / "model.tflite").write_bytes(converter.convert())


def _broken_files(home: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    (home / "pointer.h5").write_text(LFS_POINTER)
    (home / "pointer").mkdir()
    (home / "pointer" / "saved_model.pb").write_text(LFS_POINTER)
    (home / "truncated.h5").write_bytes((home / "model.h5").read_bytes()[:9000])
    shutil.copytree(home / "module", home / "no_variables")
    shutil.rmtree(home / "no_variables" / "variables")
    shutil.copytree(home / "module", home / "foreign_op")
    path = home / "foreign_op" / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for function in saved_model.meta_graphs[0].graph_def.library.function:
        for node in (n for n in function.node_def if n.op == "MatMul"):
            node.op = "SentencepieceTokenizeOp"
    path.write_bytes(saved_model.SerializeToString())
