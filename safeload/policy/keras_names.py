"""Which names a Keras config may refer to: packages, modules and classes as data. Layer: policy."""

from __future__ import annotations

import builtins
import re
import sys
from typing import NamedTuple

from safeload.dialects import (
    ALLOWED_SYMBOLS,
    is_application_layer,
    is_tensorflow_activation,
    is_tensorflow_initializer,
)
from safeload.inspection.op_classes import op_class

# The packages and subpackages in which Keras itself has lived: keras 1 to 3, tf_keras, tf.keras under its import paths.
_KERAS_ROOT = re.compile(r"(?:tensorflow\.(?:python\.|_api\.v[12]\.)?)?(?:tf_|_tf_)?keras(?:_core)?(?=\.|$)")

# Parts of Keras that hold what a model is made of. Everything else (utils, saving, datasets, applications, config,
# callbacks, export, tree, distribution, …) loads files, fetches, or changes the process.
# Source: ``keras/api`` of Keras 3.15.1; ``keras/src/engine`` and ``keras/engine`` of Keras 2.
_MODELLING = (
    "activations",
    "constraints",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "ops",
    "optimizers",
    "quantizers",
    "random",
    "regularizers",
)
_ENGINE = ("engine.functional", "engine.sequential", "engine.training", "engine.input_layer", "engine.base_layer")
# The functions of these compute and do nothing else.
_PURE = ("activations", "constraints", "initializers", "losses", "metrics", "ops", "random", "regularizers")

# Within Keras's root module, what a config of a model names.
_ROOT_NAMES = frozenset({"DTypePolicy", "FloatDTypePolicy", "Functional", "Model", "Sequential", "Variable"})

# Modules of Keras that are named like modules of Python.
_OWN_MODULES = frozenset({"math", "random"})

# What modules of Keras call the packages that they import.
_ALIASES = frozenset({"jnp", "np", "scipy", "tf"})

# Functions of the pure modules that turn what they are given into objects: keras/src/*/__init__.py of Keras 3.15.1.
_NOT_PURE = frozenset({"deserialize", "get", "serialize"})

# Packages of which no custom layer comes, but functions that read, write, import or execute.
_HOST_PACKAGES = {
    "tensorflow",
    "absl", "certifi", "cffi", "cloudpickle", "dill", "fsspec", "google", "h5py", "jax", "jaxlib", "joblib", "numpy",
    "orbax", "pandas", "pip", "pkg_resources", "psutil", "PIL", "requests", "rich", "scipy", "setuptools",
    "six", "sklearn", "tensorboard", "torch", "torchvision", "urllib3", "wheel", "yaml",
}  # fmt: skip
# Modules of the standard library that have submodules: ``code`` is Python's, ``code.layers`` is somebody's project.
# Source: Lib/ of CPython 3.10 to 3.14.
_STDLIB_PACKAGES = {
    "asyncio", "collections", "concurrent", "ctypes", "curses", "dbm", "distutils", "email", "encodings", "ensurepip",
    "html", "http", "idlelib", "importlib", "json", "lib2to3", "logging", "multiprocessing", "os", "pathlib",
    "pydoc_data",
    "re", "sqlite3", "string", "sysconfig", "tkinter", "tomllib", "unittest", "urllib", "venv", "wsgiref", "xml",
    "xmlrpc", "zipfile", "zoneinfo",
}  # fmt: skip
# Gone from newer interpreters, still importable from older ones.
_GONE = {"asyncore", "commands", "distutils", "imp", "nt", "pipes", "popen2", "posix"}
_STDLIB = frozenset(sys.stdlib_module_names) | _GONE
# Not import paths but what releases write for a function or class without a home.
_NO_HOME = frozenset({"", "builtins", "__main__"})
_PYTHON_BUILTINS = frozenset(dir(builtins))

DANGEROUS_CLASSES = {
    "TFSMLayer": "loads another SavedModel from a path",
    "TorchModuleWrapper": "unpickles a PyTorch module",
    "JaxLayer": "runs a function of another framework",
    "FlaxLayer": "runs a function of another framework",
    "ClassMethod": "calls a class method of TensorFlow by name",
    "ModuleWrapper": "wraps a module that the config names",
    "PyFunc": "runs a Python function",
}
"""Classes of Keras that reach outside the model, with what they do.

Source: keras/src/export/tfsm_layer.py, keras/src/utils/torch_utils.py, keras/src/utils/jax_layer.py (Keras 3.15.1);
tf_keras/src/layers/core/tf_op_layer.py (tf_keras 2.21.0); CVE-2026-1462, CVE-2025-49655.
"""

VOCABULARY_KEYS = frozenset({"vocabulary", "idf_weights"})
"""Keys of the lookup layers that take a path in place of a list (CVE-2025-12058)."""

COLUMN_PATHS = {"VocabularyFileCategoricalColumn": "vocabulary_file", "EmbeddingColumn": "ckpt_to_load_from"}
"""Feature columns of TensorFlow that read a file, and the key of its path.

Source: tensorflow/python/feature_column/feature_column_v2.py (2.21).
"""

SYMBOL_KEYS = {
    "TFOpLambda": "function",
    "SlicingOpLambda": "function",
    "TensorFlowSymbol": "function",
    "InstanceMethod": "attr_name",
    "InstanceProperty": "attr_name",
    "TensorFlowOpLayer": "node_def",
    "TensorFlowNode": "node_def",
}
"""Classes that call TensorFlow by name, and the key that holds the name.

Source: tf_keras/src/layers/core/tf_op_layer.py (2.21.0); tensorflow/python/keras/engine/base_layer.py (2.3.0) for
``TensorFlowOpLayer``; `dialects` for those of the normal form.
"""

# Ops that hand on what they are given, which no class of the table says: ``control-flow`` and ``check`` hold others.
_HANDING_ON = frozenset({"CheckNumerics", "CheckNumericsV2", "Identity", "IdentityN"})

# What Keras records of composite tensors: they read the tensor that they belong to.
_MEMBERS = frozenset(
    [
        "bounding_shape",
        "dense_shape",
        "dtype",
        "flat_values",
        "indices",
        "merge_dims",
        "nested_row_splits",
        "nrows",
        "ragged_rank",
        "row_lengths",
        "row_limits",
        "row_splits",
        "row_starts",
        "shape",
        "to_sparse",
        "to_tensor",
        "value_rowids",
        "values",
        "with_values",
    ]
)

KNOWN_MARKERS = frozenset(
    {
        "__bytes__",
        "__ellipsis__",
        "__keras_tensor__",
        "__numpy__",
        "__slice__",
        "__tensor__",
        "__tuple__",
        "__typespec__",
    }
)  # fmt: skip
"""``class_name`` of encoded values: keras/src/saving/serialization_lib.py (3.15.1), tf_keras json_utils.py."""

TYPE_SPECS = frozenset({"TensorSpec", "RaggedTensorSpec", "SparseTensorSpec"})
"""What ``__typespec__`` may name: the specs of plain tensors."""

TYPE_SPEC_MODULES = frozenset(
    {
        "tensorflow",
        "tensorflow.python.framework.sparse_tensor",
        "tensorflow.python.framework.tensor",
        "tensorflow.python.framework.tensor_spec",
        "tensorflow.python.ops.ragged.ragged_tensor",
    }
)
"""Where TensorFlow has them, which files record: 2.13 and later, and before. Loaders import what stands there."""

ARRAY_DTYPES = frozenset(
    {"bool", "bfloat16", "float16", "float32", "float64", "complex64", "complex128", "string"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (4, 8, 16, 32, 64)}
)
"""Dtypes of encoded arrays. Others, such as ``S999999999``, make numpy allocate what they say."""


def is_pure_symbol(class_name: str, symbol: str) -> bool:
    """Tell whether a layer of the class *class_name*, one of `SYMBOL_KEYS`, may call *symbol*."""
    if SYMBOL_KEYS[class_name] == "node_def":
        return op_class(symbol) == "pure" or symbol in _HANDING_ON
    if SYMBOL_KEYS[class_name] == "attr_name":
        return symbol in _MEMBERS
    return symbol in ALLOWED_SYMBOLS or (symbol.startswith("RaggedTensor.") and symbol.partition(".")[2] in _MEMBERS)


class Verdict(NamedTuple):
    """Why a reference may not be followed.

    Attributes:
        rule: Kebab-case name of the rule.
        message: What the reference is.
    """

    rule: str
    message: str


def is_keras(module: str | None) -> bool:
    """Tell whether *module* claims to be part of Keras."""
    return _KERAS_ROOT.match(module or "") is not None


def _inside(module: str, parts: tuple[str, ...]) -> bool:
    """Tell whether *module* lies in one of Keras's *parts*, by its public or its private path."""
    rest = module[_KERAS_ROOT.match(module).end() :].lstrip(".")  # type: ignore[union-attr]  # callers checked is_keras
    rest = re.sub(r"^(?:src|api|_legacy|legacy|_tf_keras\.keras)\.", "", rest)
    return any(rest == part or rest.startswith(part + ".") for part in parts)


def _leaves_keras(module: str) -> bool:
    """Tell whether a path goes through what a module of Keras imports, such as ``keras.activations.os``."""
    parts = set(module.split("."))
    return not parts.isdisjoint((_STDLIB - _OWN_MODULES) | _ALIASES) or any(part.startswith("__") for part in parts)


def judge_class(module: str | None, name: str) -> Verdict | None:
    """Say why no config may name the class *name* of *module*, or return None.

    A class of a package that is neither Keras nor the host's is custom code: whether the caller
    gave it is for the registry to say, and it is never imported.
    """
    if is_keras(module) and _is_function_name(name):
        return judge_function(module, name)
    if name in DANGEROUS_CLASSES and (not module or is_keras(module)):
        return Verdict("dangerous-class", f"the layer {name} {DANGEROUS_CLASSES[name]}")
    if not is_keras(module):
        return None if is_tensorflow_initializer(module, name) else _judge_host(module, name)
    is_part = name in _ROOT_NAMES if module in {"keras", "tf_keras"} else _inside(str(module), _MODELLING + _ENGINE)
    return None if is_part or is_application_layer(module, name) else _gadget(module, name)


def judge_function(module: str | None, name: str) -> Verdict | None:
    """Say why no config may name the function *name* of *module*, or return None."""
    if is_keras(module):
        is_pure = _inside(str(module), _PURE) and name not in _NOT_PURE and not _leaves_keras(str(module))
        return None if is_pure and _is_function_name(name) else _gadget(module, name)
    return None if is_tensorflow_activation(module, name) else _judge_host(module, name)


def _is_function_name(name: str) -> bool:
    # Keras's functions are lower case; a class in a function's place is made with the caller's arguments.
    return name.isidentifier() and name == name.lower() and not name.startswith("_")


def _judge_host(module: str | None, name: str) -> Verdict | None:
    if (module or "") in _NO_HOME:
        is_builtin = module == "builtins" and name in _PYTHON_BUILTINS
        return Verdict("host-function", f"{name} is a built-in of Python") if is_builtin else None
    root, _, below = str(module).partition(".")
    if root == "safeload":
        why = "which safeload put in the place of one of an older Keras; safeload.save_callable saves such models"
        return Verdict("host-function", f"{module}.{name} is a layer {why}")
    if root in _HOST_PACKAGES or root in _STDLIB_PACKAGES or (root in _STDLIB and not below):
        return Verdict("host-function", f"{module}.{name} belongs to the host, not to a model")
    return None


def _gadget(module: str | None, name: str) -> Verdict:
    return Verdict("keras-gadget", f"{module}.{name} is no building block of a model")
