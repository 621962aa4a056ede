"""Functions and ops of TensorFlow that a layer of Keras 2 may call by name. Layer: policy; a table.

``TFOpLambda`` and its like record the exported name of the function: ``tf_keras/src/layers/core/tf_op_layer.py`` (2.21.0).
Only what computes its outputs from its inputs is here: no file, process, network, resource or callback.
"""

from __future__ import annotations

from safeload.inspection.op_classes import op_class

# Modules whose exported functions are pure, but for those of _NOT_PURE. Source: the API of TensorFlow 2.21.0.
_PURE_MODULES = frozenset(
    {"__operators__", "bitwise", "dtypes", "image", "linalg", "math", "nn", "quantization", "sets", "signal", "strings"}
)
_NOT_PURE = frozenset({"fixed_unigram_candidate_sampler"})
"""Takes ``vocab_file``."""

# Exported by the package itself, in TensorFlow 2 and, below ``compat.v1``, under the names of TensorFlow 1.
_PURE_FUNCTIONS = frozenset(
    """
    abs acos acosh add add_n argmax argmin argsort as_string asin asinh atan atan2 atanh batch_to_space bitcast
    boolean_mask broadcast_dynamic_shape broadcast_static_shape broadcast_to cast ceil clip_by_global_norm clip_by_norm
    clip_by_value complex concat constant convert_to_tensor cos cosh cumprod cumsum depth_to_space divide
    dynamic_partition dynamic_stitch einsum ensure_shape equal erf exp expand_dims extract_volume_patches eye fill
    fingerprint floor floordiv floormod gather gather_nd greater greater_equal histogram_fixed_width
    histogram_fixed_width_bins identity identity_n is_finite is_inf is_nan less less_equal linspace log log1p logical_and
    logical_not logical_or logical_xor matmul maximum meshgrid minimum multiply negative norm not_equal one_hot ones
    ones_like pad parallel_stack pow range rank realdiv reciprocal reduce_all reduce_any reduce_logsumexp reduce_max
    reduce_mean reduce_min reduce_prod reduce_sum repeat reshape reverse reverse_sequence rint roll round rsqrt
    saturate_cast scalar_mul scatter_nd searchsorted segment_max segment_mean segment_min segment_prod segment_sum
    sequence_mask shape shape_n sigmoid sign sin sinh size slice sort space_to_batch space_to_batch_nd space_to_depth
    split sqrt square squared_difference squeeze stack stop_gradient strided_slice string_split subtract tan tanh
    tensor_scatter_nd_add tensor_scatter_nd_max tensor_scatter_nd_min tensor_scatter_nd_sub tensor_scatter_nd_update
    tensordot tile to_double to_float to_int32 to_int64 transpose truediv truncatediv truncatemod unique
    unique_with_counts unravel_index unstack where zeros zeros_like
    """.split()
)
# Members of composite tensors that Keras records: ``RaggedTensor.to_tensor``, ``SparseTensor.values`` …
_PURE_MEMBERS = frozenset(
    """
    bounding_shape consumers dense_shape dtype flat_values indices merge_dims nested_row_splits nrows ragged_rank
    row_lengths row_limits row_splits row_starts shape to_sparse to_tensor value_rowids values with_values
    """.split()
)
_PURE_OPS = frozenset({"pure"})


def is_pure_symbol(class_name: str, symbol: str) -> bool:
    """Tell whether a layer of the class *class_name* may call *symbol*.

    Args:
        class_name: ``"TFOpLambda"``, ``"SlicingOpLambda"``, ``"InstanceMethod"``, ``"InstanceProperty"`` or
            ``"TensorFlowOpLayer"``.
        symbol: Name of a function, of a member, or of an op.
    """
    if class_name == "TensorFlowOpLayer":
        return op_class(symbol) in _PURE_OPS
    if class_name in {"InstanceMethod", "InstanceProperty"}:
        return symbol in _PURE_MEMBERS
    module, _, function = symbol.removeprefix("compat.v1.").rpartition(".")
    if module == "raw_ops":
        return op_class(function) in _PURE_OPS
    if module == "":
        return function in _PURE_FUNCTIONS
    return module in _PURE_MODULES and function.isidentifier() and function not in _NOT_PURE
