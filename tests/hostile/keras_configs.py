"""Builders of hostile Keras configs, from plain data. Nothing here is ever loaded, and no bytecode in it is valid.

Each is named by its attack and carries its source. `ATTACKS` maps names to configs and to the rule that must speak;
`LOOK_ALIKES` maps names to harmless configs that resemble them.
"""

from __future__ import annotations

import base64
from typing import Any

from safeload.dialects import Flavour, NormalForm, Writer
from safeload.formats import Format
from safeload.inspection import KerasInfo, LayerInfo, ModelInfo, ProducerInfo, SignatureInfo
from safeload.inspection._walk import notable_places, recorded_places
from safeload.policy import Finding, Severity
from safeload.policy.keras import examine_keras


def code_text(*words: str, ints: int = 5, opcode: int = 151, is_raw: bool = False) -> str:
    """Imitate a marshalled code object: header, bytecode string, names. It is too short to be unmarshalled."""
    code, string = (b"c", b"s") if ints == 4 else (b"\xe3", b"\xf3")  # Python 2 flags no references
    head = code + b"\x01\x00\x00\x00" + b"\x00\x00\x00\x00" * (ints - 1)
    body = string + (4).to_bytes(4, "little") + bytes([opcode, 0, 83, 0])
    names = b"".join(b"\xda" + bytes([len(word)]) + word.encode() for word in words)
    data = head + body + names + b"\xfa\x08<lambda>" + b"\x00" * 4
    return data.decode("latin-1") if is_raw else base64.b64encode(data).decode()


PICKLE = base64.b64encode(b"cos\nsystem\n(S'touch /tmp/canary'\ntR.").decode()
CODE = code_text("open", "write", "/tmp/canary")


def tensor(layer: str, shape: tuple[int | None, ...] = (None, 4)) -> dict[str, Any]:
    """Return an output of *layer* as Keras 3 records it."""
    config = {"shape": list(shape), "dtype": "float32", "keras_history": [layer, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def entry(
    class_name: str, name: str, *, module: str | None = "keras.layers", source: str | None = None, **config: Any
) -> Any:
    """Return a layer as Keras 3 records it, called on *source*."""
    nodes = [] if source is None else [{"args": [tensor(source)], "kwargs": {}}]
    config = {"name": name, "trainable": True, "dtype": "float32", **config}
    layer = {"class_name": class_name, "config": config, "registered_name": None, "name": name, "inbound_nodes": nodes}
    return {"module": module, **layer}


def functional(*layers: Any, **extra: Any) -> Any:
    """Return a Functional model of an input, a Dense layer and *layers*, as Keras 3 records it."""
    first = entry("InputLayer", "inp", batch_shape=[None, 4])
    dense = entry("Dense", "dense", source="inp", units=2, activation="linear")
    config = {"name": "m", "layers": [first, dense, *layers]}
    ends = {"input_layers": [["inp", 0, 0]], "output_layers": [["dense", 0, 0]]}
    model = {"module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional"}
    return {**model, "config": {**config, **ends}, **extra}


def function(module: str | None, name: Any) -> Any:
    """Return a reference to a function."""
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def lambda_layer(called: Any, **config: Any) -> Any:
    """Return a Lambda layer with *called* as its function."""
    return entry("Lambda", "l", source="dense", function=called, **config)


def lambda_value(code: str = CODE) -> Any:
    """Return a function as Keras 3 serializes a lambda."""
    return {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}


def with_column(class_name: str, **config: Any) -> Any:
    """Return a model with a feature column of TensorFlow, whose class the caller gives."""
    column = {"class_name": "IndicatorColumn", "config": {"of": {"class_name": class_name, "config": config}}}
    return functional(keras2("DenseFeatures", feature_columns=[column]))


def wrapped(layer: Any, wrapper: str = "TimeDistributed") -> Any:
    """Return *layer* inside a wrapper."""
    return entry(wrapper, "td", source="dense", layer=layer)


def dtype_map(*patterns: str) -> Any:
    """Return a map from paths of layers to dtypes, as Keras 3 writes it."""
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    config = {"default_policy": policy, "policy_map": dict.fromkeys(patterns, policy)}
    found = {"module": "keras.dtype_policies", "class_name": "DTypePolicyMap", "config": config}
    return {**found, "registered_name": None}


def keras2(class_name: str, **config: Any) -> Any:
    """Return a layer without a module, as Keras 1 and 2 record it."""
    return {"class_name": class_name, "config": {"name": "x", **config}, "name": "x"}


_CHAIN = iter(range(100))


def keras_chain(class_name: str, units: int | None) -> Any:
    """Return a layer on top of the last one made so, on a tensor whose recorded shape is a lie."""
    number = next(_CHAIN)
    node = {"args": [tensor(f"chain{number - 1}" if number else "inp")], "kwargs": {}}
    return {
        **entry(class_name, f"chain{number}", **({} if units is None else {"units": units})),
        "inbound_nodes": [node],
    }


def _array(dtype: str) -> Any:
    return {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": dtype}}


def _typespec(name: str, **facts: Any) -> Any:
    spec = {"class_name": "__typespec__", "spec_name": name, "module": "tensorflow", "registered_name": None}
    return {**spec, "config": [[1], "float32"], **facts}


def _registered(layer: Any, name: str) -> Any:
    return {**layer, "registered_name": name}


_LOOKUP = {"source": "inp", "vocabulary": "/tmp/canary.txt"}

ATTACKS: dict[str, tuple[Any, str]] = {
    # Paths through what modules of Keras import, and to what every object has.
    "function_through_an_import": (
        functional(entry("Dense", "x", source="inp", units=2, activation=function("keras.activations.os", "system"))),
        "keras-gadget",
    ),
    "function_through_an_alias": (
        functional(entry("Dense", "x", source="inp", units=2, activation=function("keras.src.ops.numpy.np", "load"))),
        "keras-gadget",
    ),
    "function_through_builtins": (
        functional(entry("Dense", "x", source="inp", units=2, activation=function("keras.ops.__builtins__", "eval"))),
        "keras-gadget",
    ),
    "function_of_every_object": (
        functional(entry("Dense", "x", source="inp", units=2, activation=function("keras.ops", "__getattr__"))),
        "keras-gadget",
    ),
    # Bytecode: CVE-2024-3660, CVE-2025-9905.
    "lambda": (functional(lambda_layer(lambda_value())), "lambda-bytecode"),
    "lambda_in_wrapper": (functional(wrapped(lambda_layer(lambda_value()))), "lambda-bytecode"),
    "lambda_in_nested_model": (functional(functional(lambda_layer(lambda_value()))), "lambda-bytecode"),
    "lambda_in_arguments": (
        functional(lambda_layer(function("keras.ops", "relu"), arguments={"a": [1, [lambda_value()]]})),
        "lambda-bytecode",
    ),
    "lambda_output_shape": (functional(lambda_layer("f", output_shape=[CODE, None, None])), "lambda-bytecode"),
    "lambda_mask": (functional(lambda_layer("f", mask=lambda_value())), "lambda-bytecode"),
    "lambda_loss": (functional(compile_config={"loss": lambda_value()}), "lambda-bytecode"),
    "lambda_in_custom_config": (functional(entry("Mine", "x", module="mine", fn=[CODE, None])), "lambda-bytecode"),
    "lambda_keras2_list": (functional(keras2("Lambda", function=[CODE, None, None])), "lambda-bytecode"),
    "lambda_keras2_tuple": (
        functional(keras2("Lambda", function={"class_name": "__tuple__", "items": [CODE, None]})),
        "lambda-bytecode",
    ),
    "lambda_keras1_raw": (
        functional(keras2("Lambda", function=[code_text("os", ints=4, is_raw=True), None])),
        "lambda-bytecode",
    ),
    "lambda_behind_junk": (functional(keras2("Lambda", function=["!" + CODE, None, None])), "lambda-bytecode"),
    "lambda_unreadable_shape": (
        functional(keras2("Lambda", function="f", output_shape=["AAAA", None, None], output_shape_type="lambda")),
        "lambda-bytecode",
    ),
    "lambda_unreadable_text": (
        functional(keras2("Lambda", function="AAAA", function_type="lambda")),
        "lambda-bytecode",
    ),
    "merge_mode_unreadable": (functional(keras2("Merge", mode=["AAAA"], mode_type="lambda")), "lambda-bytecode"),
    "lambda_unreadable": (functional(lambda_layer(lambda_value("AAAA"))), "lambda-bytecode"),
    "lambda_without_function": (functional(lambda_layer({"class_name": "TFSMLayer", "config": {}})), "lambda-function"),
    "lambda_of_nothing": (functional(lambda_layer(None)), "lambda-function"),
    "merge_mode_bytecode": (functional(keras2("Merge", mode=[CODE, None], mode_type="lambda")), "lambda-bytecode"),
    # Pickles that a class of another package unpickles: DistributionLambda of tensorflow_probability 0.25.
    "pickle_in_custom_config": (functional(entry("Mine", "x", module="mine", fn=PICKLE)), "pickled-object"),
    "pickle_behind_junk": (functional(entry("Mine", "x", module="mine", fn=["!" + PICKLE])), "pickled-object"),
    "pickle_as_it_stands": (
        functional(entry("Mine", "x", module="mine", fn="cos\nsystem\n(S'touch /tmp/canary'\ntR.")),
        "pickled-object",
    ),
    # Import gadgets: CVE-2025-1550.
    "os_system": (functional(lambda_layer(function("os", "system"))), "host-function"),
    "os_path_function": (functional(lambda_layer(function("os.path", "exists"))), "host-function"),
    "subprocess_class": (functional(entry("Popen", "p", module="subprocess", source="dense")), "host-function"),
    "builtins_exec": (functional(lambda_layer(function("builtins", "exec"))), "host-function"),
    "numpy_load": (functional(lambda_layer(function("numpy", "load"))), "host-function"),
    "tensorflow_write_file": (functional(lambda_layer(function("tensorflow.io", "write_file"))), "host-function"),
    "gadget_initializer": (
        functional(entry("Dense", "d", source="inp", units=1, kernel_initializer=function("os", "remove"))),
        "host-function",
    ),
    "gadget_in_compile": (functional(compile_config={"loss": function("os", "system")}), "host-function"),
    "root_module": ({"module": "this", "class_name": "X", "config": {}, "registered_name": "X"}, "host-function"),
    "safeload_object": (functional(entry("MaxoutDense", "x", module="safeload.compat")), "host-function"),
    "function_without_name": (functional(lambda_layer(function("keras.ops", {"a": 1}))), "reference"),
    "module_that_is_no_text": (functional(entry("Dense", "d", module=["os"], source="inp")), "reference"),  # type: ignore[arg-type]
    # Keras's own functions and classes: CVE-2025-8747, CVE-2025-9906, GHSA-4f3f-g24h-fr8m.
    "get_file": (functional(lambda_layer(function("keras.utils", "get_file"))), "keras-gadget"),
    "enable_unsafe": (
        functional(lambda_layer(function("keras.config", "enable_unsafe_deserialization"))),
        "keras-gadget",
    ),
    "private_global_state": (
        functional(lambda_layer(function("keras.src.backend.common.global_state", "set_global_attribute"))),
        "keras-gadget",
    ),
    "load_model": (functional(lambda_layer(function("keras.models", "load_model"))), "keras-gadget"),
    "load_model_as_class": (
        functional(entry("load_model", "l", module="keras.models", source="dense")),
        "keras-gadget",
    ),
    "setter_as_class": (
        functional(entry("set_dtype_policy", "l", module="keras.mixed_precision", source="dense")),
        "keras-gadget",
    ),
    "module_as_class": (
        functional(entry("python_utils", "l", module="keras.src.layers.core.lambda_layer", source="dense")),
        "keras-gadget",
    ),
    "datasets": (functional(lambda_layer(function("keras.datasets.mnist", "load_data"))), "keras-gadget"),
    "class_as_function": (functional(lambda_layer(function("keras.layers", "TFSMLayer"))), "keras-gadget"),
    "class_in_pure_module": (functional(lambda_layer(function("keras.losses", "MeanSquaredError"))), "keras-gadget"),
    "deserialize": (functional(lambda_layer(function("keras.losses", "deserialize"))), "keras-gadget"),
    "tf_keras_gadget": (functional(lambda_layer(function("tf_keras.utils", "get_file"))), "keras-gadget"),
    "tf_keras_by_its_import_path": (
        functional(lambda_layer(function("tensorflow.keras.utils", "get_file"))),
        "keras-gadget",
    ),
    "callback_as_layer": (functional(entry("CSVLogger", "c", module="keras.callbacks")), "keras-gadget"),
    "module_named_alike": (functional(entry("Dense", "c", module="keras.layers_2")), "keras-gadget"),
    "root_gadget": (functional(entry("StatelessScope", "c", module="keras")), "keras-gadget"),
    "tfsm_layer": (functional(entry("TFSMLayer", "t", source="dense", filepath="/tmp/x")), "dangerous-class"),
    "tfsm_layer_keras2": (functional(keras2("TFSMLayer", filepath="/tmp/x")), "dangerous-class"),
    "torch_module": (functional(entry("TorchModuleWrapper", "t", source="dense")), "dangerous-class"),
    "class_method": (functional(keras2("ClassMethod", cls_symbol="data.TextLineDataset")), "dangerous-class"),
    "registered_name": (functional(_registered(entry("Dense", "d", source="inp"), "builtins>eval")), "second-name"),
    # Symbols of TensorFlow.
    "load_op_library": (functional(keras2("TFOpLambda", function="load_op_library")), "tensorflow-symbol"),
    "gfile": (functional(keras2("TFOpLambda", function="io.gfile.rmtree")), "tensorflow-symbol"),
    "write_file": (functional(keras2("TFOpLambda", function="io.write_file")), "tensorflow-symbol"),
    "vocab_file_sampler": (
        functional(keras2("TFOpLambda", function="nn.fixed_unigram_candidate_sampler")),
        "tensorflow-symbol",
    ),
    "raw_op": (functional(keras2("TFOpLambda", function="raw_ops.ReadFile")), "tensorflow-symbol"),
    "py_function": (functional(keras2("TFOpLambda", function="py_function")), "tensorflow-symbol"),
    "symbol_that_is_no_text": (functional(keras2("TFOpLambda", function=["os"])), "tensorflow-symbol"),
    "instance_method": (functional(keras2("InstanceMethod", attr_name="save")), "tensorflow-symbol"),
    "member_of_nothing": (functional(keras2("TensorFlowSymbol", function="RaggedTensor.save")), "tensorflow-symbol"),
    "node_def": (functional(keras2("TensorFlowOpLayer", node_def={"op": "ReadFile"})), "tensorflow-symbol"),
    "node_def_that_calls": (functional(keras2("TensorFlowOpLayer", node_def={"op": "If"})), "tensorflow-symbol"),
    # Files: CVE-2025-12058, CVE-2026-12479.
    "vocabulary_path": (functional(entry("StringLookup", "v", **_LOOKUP)), "vocabulary-path"),
    "vocabulary_url": (functional(keras2("TextVectorization", vocabulary="http://host/v.txt")), "vocabulary-path"),
    "idf_weights_path": (functional(entry("IntegerLookup", "v", source="inp", idf_weights="w.npy")), "vocabulary-path"),
    "column_vocabulary": (with_column("VocabularyFileCategoricalColumn", vocabulary_file="/w.txt"), "vocabulary-path"),
    "column_weights": (with_column("EmbeddingColumn", ckpt_to_load_from="/w", dimension=2), "vocabulary-path"),
    "name_traversal": (functional(entry("Dense", "../../etc", source="inp")), "path-name"),
    "name_absolute": (functional(entry("Dense", "/etc/passwd", source="inp")), "path-name"),
    "name_backslash": (functional(entry("Dense", "a\\..\\..\\b", source="inp")), "path-name"),
    "name_drive": (functional(entry("Dense", "C:\\x", source="inp")), "path-name"),
    "name_url": (functional(entry("Dense", "gs://bucket/x", source="inp")), "path-name"),
    "name_nul": (functional(entry("Dense", "a\0b", source="inp")), "path-name"),
    # Encoded values.
    "array_dtype_bomb": (functional(lambda_layer("f", arguments={"a": _array("S999999999")})), "array-dtype"),
    "tensor_dtype_bomb": (
        functional(lambda_layer("f", arguments={"a": {**_array("S999999999"), "class_name": "__tensor__"}})),
        "array-dtype",
    ),
    "type_spec": (functional(entry("InputLayer", "i", type_spec=_typespec("DatasetSpec"))), "type-spec"),
    "type_spec_of_a_module": (
        functional(entry("InputLayer", "i", type_spec=_typespec("TensorSpec", module="antigravity"))),
        "type-spec",
    ),
    "type_spec_of_a_module_of_keras": (
        functional(entry("InputLayer", "i", type_spec=_typespec("TensorSpec", module="keras.src.testing.test_utils"))),
        "type-spec",
    ),
    "registered_type_spec": (
        functional(entry("InputLayer", "i", type_spec=_typespec("TensorSpec", registered_name="mine>TensorSpec"))),
        "type-spec",
    ),
    "type_spec_that_says_two_names": (
        functional(entry("InputLayer", "i", type_spec=_typespec("Dense", config={"spec_name": "TensorSpec"}))),
        "type-spec",
    ),
    "unknown_marker": (functional(lambda_layer("f", arguments={"class_name": "__pickle__", "config": "x"})), "marker"),
    "class_name_that_is_no_text": (functional({"class_name": ["Dense"], "config": {}}), "marker"),
    # What runs while the model is built.
    "constant_node": (
        functional(
            {**lambda_layer(function("keras.ops", "zeros")), "inbound_nodes": [{"args": [[9, 9]], "kwargs": {}}]}
        ),
        "constant-node",
    ),
    # Sizes: a few hundred bytes that ask for gigabytes.
    "units_bomb": (functional(entry("Dense", "d", source="inp", units=2**33)), "oversized-layer"),
    "embedding_bomb": (
        functional(entry("Embedding", "e", source="inp", input_dim=2**20, output_dim=2**20)),
        "oversized-layer",
    ),
    "bomb_in_wrapper": (functional(wrapped(entry("LSTM", "d", units=2**20), "Bidirectional")), "oversized-layer"),
    "chain_bomb": (
        functional(keras_chain("Dense", 2**16), keras_chain("Activation", None), keras_chain("Dense", 2**16)),
        "oversized-layer",
    ),
    "sequential_bomb": (
        {
            "module": "keras",
            "class_name": "Sequential",
            "config": {"layers": [keras2("InputLayer", batch_shape=[None, 2**16]), keras2("Dense", units=2**16)]},
        },
        "oversized-layer",
    ),
    "built_features_bomb": (
        functional({**entry("BatchNormalization", "b"), "build_config": {"input_shape": [None, 2**40]}}),
        "oversized-layer",
    ),
    "built_input_bomb": (
        functional({**entry("Dense", "d", units=2**16), "build_config": {"input_shape": [None, 2**16]}}),
        "oversized-layer",
    ),
    "state_bomb": (
        functional(
            entry("InputLayer", "i", batch_shape=[2**20, 5, 8]), entry("LSTM", "l", source="i", units=64, stateful=True)
        ),
        "oversized-layer",
    ),
    "outputs_bomb": (
        functional(entry("Unstack", "u", module="keras.src.ops.core", source="inp", num=10**9)),
        "unrolled-layer",
    ),
    "outputs_bomb_of_keras2": (
        functional(
            {**keras2("TFOpLambda", function="split"), "inbound_nodes": [["x", 0, 0, {"num_or_size_splits": 10**9}]]}
        ),
        "unrolled-layer",
    ),
    "pattern_bomb": (
        functional(entry("Dense", "aaaaaa", source="inp", units=1, dtype=dtype_map("(a+)+b"))),
        "slow-pattern",
    ),
    "open_parts": (functional(entry("Dense", "d", source="inp", units=1, dtype=dtype_map(".*.*b"))), "slow-pattern"),
    "unrolled_bomb": (
        functional(entry("RepeatVector", "r", n=10**6), entry("SimpleRNN", "l", source="r", units=1, unroll=True)),
        "unrolled-layer",
    ),
    "strides_of_a_transposed_convolution": (
        functional(entry("Conv2DTranspose", "c", source="inp", filters=1, kernel_size=[2, 2], strides=[1 << 17, 1])),
        "oversized-layer",
    ),
    "transform_of_no_length": (
        functional(entry("IRFFT", "t", module="keras.src.ops.math", source="inp", fft_length=0)),
        "empty-transform",
    ),
    "repeated_bomb": (functional(entry("RepeatVector", "r", source="inp", n=10**12)), "oversized-layer"),
    "hashed_bomb": (
        functional(entry("Hashing", "h", source="inp", num_bins=2**31 - 1, output_mode="multi_hot")),
        "oversized-layer",
    ),
    "tokens_bomb": (
        functional(
            keras2("TextVectorization", max_tokens=2**31 - 1, pad_to_max_tokens=True, output_mode="count"),
        ),
        "oversized-layer",
    ),
    "strides_bomb": (
        functional(entry("Conv2DTranspose", "c", source="inp", filters=1, kernel_size=[1, 1], strides=[2**15, 2**15])),
        "oversized-layer",
    ),
    "padded_bomb": (
        functional(entry("ZeroPadding2D", "p", source="inp", padding=[[2**20, 0], [0, 2**20]])),
        "oversized-layer",
    ),
    "numbers_of_thousands_of_digits": (
        functional(
            entry("LSTM", "l", units=10**4000),
            entry("Conv3D", "c", filters=1, kernel_size=[10**4000] * 1000),
            entry("InputLayer", "i", batch_shape=[10**4000] * 9),
            entry("GRU", "g", units=1, stateful=True),
            entry("Unstack", "u", module="keras.src.ops.core", num=10**4000),
            entry("Tile", "t", module="keras.src.ops.numpy", repeats=[10**4000] * 9),
        ),
        "oversized-layer",
    ),
    "mode_that_is_a_list": (
        functional(keras2("Hashing", num_bins=2**31 - 1, output_mode=["int"])),
        "oversized-layer",
    ),
    "lambda_in_the_function_of_a_lambda": (
        functional(lambda_layer(lambda_layer("f") | {"config": {"function": [CODE], "function_type": "lambda"}})),
        "lambda-bytecode",
    ),
    "lambda_around_a_layer": (functional(lambda_layer([entry("Dense", "d")])), "lambda-function"),
    "constant_node_with_a_layer_in_it": (
        functional({**entry("Dense", "d"), "inbound_nodes": [[entry("Dense", "e", source="inp")]]}),
        "constant-node",
    ),
    "einsum_bomb": (
        functional(entry("EinsumDense", "e", source="inp", equation="abc,cd->abd", output_shape=[2, 2**33])),
        "oversized-layer",
    ),
    "kernel_bomb": (functional(entry("Conv2D", "c", filters=64, kernel_size=[4096, 4096])), "oversized-layer"),
}

LOOK_ALIKES: dict[str, Any] = {
    "plain": functional(),
    "lambda_of_a_pure_op": functional(lambda_layer(function("keras.ops", "relu"))),
    "lambda_of_a_named_function": functional(keras2("Lambda", function="my_function", function_type="function")),
    "the_word_lambda": functional(entry("Dense", "lambda_code_os_system", source="inp", units=2)),
    "private_path_of_an_activation": functional(lambda_layer(function("keras.src.activations.activations", "relu"))),
    "activation_of_old_keras": functional(lambda_layer(function("tensorflow.python.keras.activations", "relu"))),
    "custom_class": functional(entry("Scale", "s", module="my_project.layers", source="inp")),
    "custom_class_named_like_a_dangerous_one": functional(entry("JaxLayer", "s", module="my_project", source="inp")),
    "project_named_like_a_module": functional(entry("Scale", "s", module="code.layers", source="inp")),
    "custom_function_of_old_keras3": functional(lambda_layer(function("builtins", "swishy"))),
    "registered_class": functional(_registered(entry("Scale", "s", module="mine", source="inp"), "mine>Scale")),
    "class_name_as_registered_name": functional(_registered(entry("Dense", "d", source="inp", units=2), "Dense")),
    "scoped_name": functional(entry("Dense", "block_1/conv..2/dense", source="inp", units=2)),
    "vocabulary": functional(entry("StringLookup", "v", source="inp", vocabulary=["/etc/passwd", "b"])),
    "vocabulary_in_a_list_of_lists": functional(entry("TextVectorization", "v", source="inp", vocabulary=[["a"]])),
    "array": functional(entry("Rescaling", "r", source="inp", scale=_array("float32"))),
    "ragged_input": functional(entry("InputLayer", "i", type_spec=_typespec("RaggedTensorSpec"))),
    "input_with_a_spec": functional(
        entry("InputLayer", "i", type_spec=_typespec("TensorSpec", module="tensorflow.python.framework.tensor"))
    ),
    "pure_symbol": functional({**keras2("TFOpLambda", function="math.reduce_mean")}),
    "pure_symbol_of_v1": functional(keras2("TFOpLambda", function="compat.v1.nn.conv2d")),
    "root_symbol": functional(keras2("TFOpLambda", function="concat")),
    "operator": functional(keras2("SlicingOpLambda", function="__operators__.getitem")),
    "ragged_member": functional(keras2("TensorFlowSymbol", function="RaggedTensor.flat_values")),
    "member": functional(keras2("InstanceProperty", attr_name="flat_values")),
    "pure_node_def": functional(keras2("TensorFlowOpLayer", node_def={"op": "Mul"})),
    "node_def_that_hands_on": functional(keras2("TensorFlowOpLayer", node_def={"op": "Identity"})),
    "dtype_policy": functional(
        entry("Dense", "d", source="inp", units=2)
        | {
            "config": {
                "name": "d",
                "dtype": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}},
            }
        }
    ),
    "grouped_convolution": functional(
        entry("Conv2D", "c", source="inp", filters=2**12, groups=2**6, kernel_size=[3, 3])
    ),
    "einsum_of_many_steps": functional(
        entry("EinsumDense", "e", source="inp", equation="abc,cd->abd", output_shape=[2**33, 2])
    ),
    "channels_first": functional(entry("Conv2D", "c", source="inp", filters=2**12, data_format="channels_first")),
    "stateful_layer": functional(
        entry("InputLayer", "i", batch_shape=[32, 5, 8]), entry("LSTM", "l", source="i", units=64, stateful=True)
    ),
    "unrolled_layer": functional(
        entry("InputLayer", "i", batch_shape=[None, 30, 8]), entry("GRU", "l", source="i", units=4, unroll=True)
    ),
    "padding": functional(entry("ZeroPadding2D", "p", source="inp", padding=[[3, 3], [3, None]])),
    "padding_of_one_number": functional(entry("ZeroPadding1D", "p", source="inp", padding=3)),
    "padding_of_one_axis": functional(entry("ZeroPadding1D", "p", source="inp", padding=[10**5, 10**5])),
    "hashed": functional(entry("Hashing", "h", source="inp", num_bins=2**31 - 1, output_mode="int")),
    "hashed_by_default": functional(keras2("Hashing", num_bins=2**31 - 1)),
    "few_tokens": functional(keras2("StringLookup", max_tokens=2**31 - 1, output_mode="multi_hot", vocabulary=["a"])),
    "larger_picture": functional(entry("UpSampling2D", "u", source="inp", size=[2, 2])),
    "large_and_stored": functional(entry("Dense", "d", source="inp", units=2**12)),
    "base64_text": functional(
        lambda_layer("f", arguments={"key": "4wABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstu="})
    ),
    "bad_base64_text": functional(lambda_layer("f", arguments={"key": "Yw" + "€" * 40 + "AAA"})),
    "unfinished_base64_text": functional(lambda_layer("f", arguments={"key": "YwAAA" * 9})),
}


def info_of(raw: Any, *, normal: Any = None, training: Any = None, parameter_count: int | None = 1 << 20) -> ModelInfo:
    """Return the facts about a config that is its own normal form, unless there is another one."""
    form = NormalForm(raw if normal is None else normal, Writer(Flavour.KERAS_3))
    places = notable_places(form.config)
    keras = KerasInfo(
        normal=form,
        signature=SignatureInfo("model", "keras"),
        root=LayerInfo("m", "Functional", "$"),
        objects=(),
        places=places,
        raw_places=recorded_places(raw, training),
        object_places=tuple(place for place in places if place.is_object),
        parameter_count=parameter_count,
    )
    return ModelInfo(Format.KERAS_ARCHIVE, "m.keras", "", 0, ProducerInfo(), keras=keras)


def refusing(info: ModelInfo) -> list[Finding]:
    """Return the findings about a config that refuse it."""
    return [finding for finding in examine_keras(info) if finding.severity >= Severity.UNEXAMINED]
