"""Every attribute and operand of TensorFlow's ops that could be a size is bounded by a rule, or it is told why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hostile.nodes import FLOAT, Dims, Ints, Type, ints, node, refusing, simple
from tensorflow.python.framework import op_def_registry

from safeload.inspection.op_classes import op_table
from safeload.policy.graph._verdicts import op_verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

_HUGE = 1 << 40
_SIZES = frozenset({"int", "list(int)", "shape", "list(shape)"})
_INTEGERS = frozenset({3, 4, 5, 6, 9, 17, 22, 23})
"""Numbers of the dtypes of integers. Source: tensorflow/core/framework/types.proto (2.21)."""
_BOUNDING = frozenset({"allocation", "endless-loop", "impossible-window"})

ATTRIBUTES = {
    "An axis, a position or a mask of these, which is compared with the rank.": """
        axis batch_dim batch_dims begin_mask blank_index component_index concat_dim dim dimensions_to_reduce
        ellipsis_mask end_mask input_quantization_axis input_ragged_rank lhs_quantization_axis new_axis_mask
        output_quantization_axis quantization_axis reduction_dimension rhs_quantization_axis seq_dim shrink_axis_mask
        squeeze_dims unspecified_dims""",
    "One of a few numbers that TensorFlow knows.": """
        algorithm auto_shard_policy calibration_method channels compression external_state_policy pruning_mode quality
        ratio tensor_debug_mode""",
    "A number that is computed with, and of which nothing is as large.": """
        RaggedCross.num_buckets SparseCross.num_buckets StringToHashBucket.num_buckets
        StringToHashBucketFast.num_buckets StringToHashBucketStrong.num_buckets exponent_bits hash_key
        input_quantization_max_val input_quantization_min_val key lhs_quantization_max_val lhs_quantization_min_val
        limit mantissa_bits num_bits num_loss_partitions output_quantization_max_val output_quantization_min_val
        quantization_max_val quantization_min_val replacement_char rhs_quantization_max_val rhs_quantization_min_val
        seed seed2 tensor_id vocab_count x_density y_density""",
    "Compared with the shape of an input, which it divides or is a part of.": """
        BoostedTreesCalculateBestFeatureSplit.logits_dimension
        BoostedTreesCalculateBestFeatureSplitV2.logits_dimension
        BoostedTreesSparseCalculateBestFeatureSplit.logits_dimension BoostedTreesUpdateEnsembleV2.logits_dimension
        batch_group_count block_size feature_group_count features groups k num_concats num_elements num_splits
        num_true other_arguments_lengths reduction_input_size_override sample_counts""",
    "At most so many of what there is.": """
        depth_radius max_images max_outputs maxlength maxsplit pad_width post_nms_topn select_cols summarize""",
    "At most so many of what other calls bring, or what is put there.": """
        capacity low_priority_max_batch_size low_priority_max_enqueued_batches max_batch_size max_enqueued_batches
        memory_limit min_after_dequeue""",
    "A step that makes what comes out fewer.": "slack_period stride",
    "A dimension of what is sparse, of which nothing is made dense.": "minlength",
    "What the tensors must be like that come in; nothing is made of it.": """
        ConditionalAccumulator.shape EnsureShape.shape Placeholder.shape PlaceholderV2.shape
        PlaceholderWithDefault.shape ResourceConditionalAccumulator.shape SparseConditionalAccumulator.shape
        VarHandleOp.shape Variable.shape VariableV2.shape output_shapes shapes""",
    "A budget of threads or memory, or a time that no kernel heeds.": """
        cpu_budget grad_timeout_micros max_intra_op_parallelism ram_budget timeout_ms""",
    "Its logarithm decides.": "max_elements",
    "How a dataset is shared out, or chosen; its elements are counted.": """
        num_elements_per_branch num_experiments num_replicas""",
    "TensorFlow has no kernel for it but on a GPU.": "num_proj",
    "Paddings that are taken away.": "AssignVariableXlaConcatND.paddings XlaConcatND.paddings",
}
"""Why attributes with these names need no bound."""
OPERANDS = {
    "Indices, or places, each compared with a shape.": """
        TakeManySparseFromTensorsMap.sparse_handles a_indices argmax b_indices batch_index begin box_ind branch_index
        cached_node_ids cached_tree_ids candidate_feature_ids col_pooling_sequence data_splits dimension_ids end
        feature_ids feature_indices gradient_indices hypothesis_indices i id index indices indices_or_row_splits
        input_indices input_splits input_start labels labels_indices labels_values node_id_range node_ids
        output_indices params_nested_splits partitions perm permutation pos reverse_index_map row_pooling_sequence
        row_splits rt_nested_splits sampled_candidates scatter_indices segment_ids set1_indices set2_indices
        set_indices shard shard_num sp_indices sparse_example_indices sparse_feature_indices sparse_indices splits
        start_indices stats_summary_indices sum_indices targets true_classes truth_indices value_rowids""",
    "Steps of a sequence: its kernel ends the process beyond the input, whose length is the caller's.": "seq_len_max",
    "An axis, or several.": """
        axes axis concat_dim dim dim_index dimension reduction_axes reduction_indices scatter_dimension split_dim""",
    "A part of an input, or a number of its rows, compared with its shape.": """
        BarrierTakeMany.num_elements InTopKV2.k MatrixDiagPartV2.k MatrixDiagPartV3.k MatrixSetDiagV2.k
        MatrixSetDiagV3.k NearestNeighbors.k NonMaxSuppression.max_output_size NonMaxSuppressionV2.max_output_size
        NonMaxSuppressionV3.max_output_size NonMaxSuppressionWithOverlaps.max_output_size RandomCrop.size
        SampleDistortedBoundingBox.image_size SampleDistortedBoundingBoxV2.image_size Slice.size SparseSlice.size
        StatelessSampleDistortedBoundingBox.image_size TileGrad.multiples TopKV2.k XlaConv.feature_group_count
        XlaConvV2.feature_group_count XlaSetDynamicDimensionSize.size bound broadcast_dims count crop_window crops len
        lengths max_index max_num_elements max_size n num_lower num_required num_to_sample num_upper pre_nms_topn
        seq_lengths sequence_length sequence_lengths size_indices size_splits slice_sizes""",
    "Numbers that are computed with, of which nothing is as large.": """
        SparseCrossHashed.num_buckets alg algorithm arr audio bucketized_features bucketized_features_list counter
        delta examples feature feature_values global_step host_reserved image images incarnation_id initial_state
        input input_values input_zero_points key lhs_zero_points local_step max_depth maxval minval new_global_step
        num_bits output_zero_points pruning_mode quality ref rhs_zero_points s0 s1 salt sample_rate seed seed2 shift
        skip stamp_token thresholds values x y zero_points""",
    "A shape of what is sparse, or cut up, of which nothing is made dense.": """
        AddManySparseToTensorsMap.sparse_shape AddSparseToTensorsMap.sparse_shape RaggedCross.sparse_shape
        SerializeSparse.sparse_shape SparseAdd.a_shape SparseSparseMaximum.a_shape SparseSparseMinimum.a_shape
        SparseTensorDenseAdd.a_shape b_shape feature_shape gradient_shape input_shape new_shape row_shape set1_shape
        set2_shape shapes sp_shape stats_summary_shape""",
    "As many elements come in as go out, or nothing is made.": """
        ConcatOffset.shape QuantizedReshape.shape Reshape.shape SparseSlice.shape SparseSplit.shape UnravelIndex.dims
        block_shape""",
    "What elements of a list must be like, compared with those that come in.": """
        TensorListFromTensor.element_shape TensorListReserve.element_shape TensorListScatter.element_shape
        TensorListScatterV2.element_shape TensorListSplit.element_shape""",
    "A step, or a gap, that makes what comes out fewer.": """
        ksize rhs_dilation stride strides window_dilations window_shift window_stride window_strides""",
    "How a dataset is gone through, counted where somebody does.": """
        SparseTensorSliceDataset.dense_shape block_length cardinality num_replicas num_shards num_workers
        output_cardinality ratio_denominator ratio_numerator start step stop""",
    "The end of a loop, which is counted.": "limit",
    "TensorFlow has no kernel for it but on a GPU.": "group_assignment input_size num_layers num_units",
    "Reflected or symmetric, as wide as the input at most, or taken away.": """
        FusedResizeAndPadConv2D.paddings MirrorPadGrad.paddings""",
    "Where nothing else says it, how long what is not there is.": "leading_dims",
}
"""Why operands with these names need no bound where no rule has one."""


def _ops() -> Iterator[Any]:
    """Yield the definitions of the ops that a graph may have; what RiscAbs begins has no kernels."""
    for op, kind in sorted(op_table().classes.items()):
        definition = op_def_registry.get(op)
        is_permitted = op_verdict(op) is None or kind == "named-resource"
        if definition is not None and is_permitted and not op.startswith("Risc"):
            yield definition


def _is_bounded(*nodes: Any) -> bool:
    made = simple()
    made.graph_def.node.extend(nodes)
    return any(found.rule in _BOUNDING for found in refusing(made))


def _with_attribute(definition: Any, key: str, kind: str) -> Any:
    types = {found.name: [Type(FLOAT)] for found in definition.attr if found.type == "list(type)"}
    values = {"int": _HUGE, "list(int)": Ints((_HUGE, _HUGE)), "shape": Dims((_HUGE,)), "list(shape)": [Dims((_HUGE,))]}
    return node("n", definition.name, *["x"] * 6, **{**types, key: values[kind]})


def _attributes() -> Iterator[tuple[str, str, bool]]:
    """Yield each attribute that may be a size, with its op, and whether it is bounded."""
    for definition in _ops():
        for found in definition.attr:
            if found.type in _SIZES:
                yield definition.name, found.name, _is_bounded(_with_attribute(definition, found.name, found.type))


def _operands() -> Iterator[tuple[str, str, bool]]:
    """Yield each operand of integers in the same way."""
    constants = (ints("huge", _HUGE, shape=()), ints("huge", _HUGE, 1))
    for definition in _ops():
        allowed = {found.name: set(found.allowed_values.list.type) for found in definition.attr}
        for place, argument in enumerate(definition.input_arg):
            types = {argument.type} if argument.type else allowed.get(argument.type_attr, set())
            if types and types <= _INTEGERS:
                inputs = ["x"] * len(definition.input_arg)
                inputs[place] = "huge"
                counts = {argument.number_attr: 1} if argument.number_attr else {}
                made = node("n", definition.name, *inputs, **counts)
                yield definition.name, argument.name, any(_is_bounded(huge, made) for huge in constants)


_PLACES = {"index", "indices", "output_shapes", "segment_ids"}
"""Names that a few ops take for a size, and of which all others make nothing."""


@pytest.mark.parametrize(("listed", "reasons"), [(_attributes, ATTRIBUTES), (_operands, OPERANDS)])
def test_every_size_is_bounded(listed: Any, reasons: dict[str, str]) -> None:
    """What no rule bounds is in a list that says why, op by op where the name is that of a size elsewhere."""
    exempt = {name for names in reasons.values() for name in names.split()}
    found = list(listed())
    unbounded = [(op, name) for op, name, is_bounded in found if not is_bounded]
    assert [(op, name) for op, name in unbounded if not {name, f"{op}.{name}"} & exempt] == []
    assert {name for _, name, is_bounded in found if is_bounded} & exempt <= _PLACES


@pytest.mark.parametrize("reasons", [ATTRIBUTES, OPERANDS])
def test_each_name_has_one_reason(reasons: dict[str, str]) -> None:
    """No name stands in the lists twice."""
    names = [name for listed in reasons.values() for name in listed.split()]
    assert sorted(names) == sorted(set(names))
