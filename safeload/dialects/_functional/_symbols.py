"""Which functions of TensorFlow a Keras config may call: those that compute from their arguments and nothing else.

None of them reads or writes files, runs what it is given (Python, graphs, libraries), keeps state, or prints.
What is not listed is not permitted, whatever it does.

Source:
    the public modules of TensorFlow 2.21 and of 1.15 (``compat.v1``), read one by one;
    ``get_canonical_name_for_symbol`` gives these spellings (tf_keras ``layers/core/tf_op_layer.py``).
"""

from __future__ import annotations

from types import MappingProxyType

_COMMON = """
abs acos acosh add argmax argmin asin asinh atan atan2 atanh cos cosh cumsum divide equal exp floor greater
greater_equal less less_equal logical_and logical_not logical_or maximum minimum multiply negative not_equal pow
reduce_all reduce_any reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_sum round scalar_mul
sigmoid sign sin sinh sqrt square subtract tan tanh truediv
"""
_MATH = f"""{_COMMON}
accumulate_n angle betainc ceil confusion_matrix conj count_nonzero cumprod digamma erf erfc expm1 floordiv floormod
igamma igammac imag invert_permutation lbeta lgamma log log1p log_sigmoid logical_xor mod polygamma real reciprocal
rint rsqrt segment_max segment_mean segment_min segment_prod segment_sum squared_difference unsorted_segment_max
unsorted_segment_mean unsorted_segment_min unsorted_segment_prod unsorted_segment_sqrt_n unsorted_segment_sum zeta
"""
_SHAPE = """
argsort as_string batch_to_space bitcast boolean_mask broadcast_dynamic_shape broadcast_to cast clip_by_norm
clip_by_value complex concat constant convert_to_tensor dynamic_partition dynamic_stitch edit_distance einsum
expand_dims extract_volume_patches eye fill gather gather_nd histogram_fixed_width histogram_fixed_width_bins identity
identity_n linspace matmul meshgrid norm one_hot ones ones_like pad parallel_stack range rank realdiv repeat reshape
reverse reverse_sequence roll saturate_cast scatter_nd searchsorted sequence_mask shape shape_n size slice sort
space_to_batch space_to_batch_nd split squeeze stack stop_gradient strided_slice tensor_scatter_nd_add
tensor_scatter_nd_max tensor_scatter_nd_min tensor_scatter_nd_sub tensor_scatter_nd_update tensordot tile transpose
truncatediv truncatemod unique unique_with_counts unravel_index unstack where zeros zeros_like
"""
_NN = """
atrous_conv2d atrous_conv2d_transpose avg_pool avg_pool1d avg_pool2d avg_pool3d batch_normalization bias_add
collapse_repeated conv1d conv1d_transpose conv2d conv2d_transpose conv3d conv3d_transpose conv_transpose convolution
crelu ctc_beam_search_decoder ctc_greedy_decoder ctc_loss depth_to_space depthwise_conv2d dilation2d dropout elu
embedding_lookup erosion2d in_top_k l2_loss l2_normalize leaky_relu local_response_normalization log_poisson_loss
log_softmax lrn max_pool max_pool1d max_pool2d max_pool3d max_pool_with_argmax moments normalize_moments pool relu
relu6 selu separable_conv2d sigmoid sigmoid_cross_entropy_with_logits silu softmax softmax_cross_entropy_with_logits
softplus softsign space_to_batch space_to_depth sparse_softmax_cross_entropy_with_logits sufficient_statistics swish
tanh top_k weighted_cross_entropy_with_logits weighted_moments with_space_to_batch zero_fraction
"""
_IMAGE = """
adjust_brightness adjust_contrast adjust_gamma adjust_hue adjust_saturation central_crop combined_non_max_suppression
convert_image_dtype crop_and_resize crop_to_bounding_box draw_bounding_boxes extract_glimpse extract_patches
flip_left_right flip_up_down grayscale_to_rgb hsv_to_rgb image_gradients non_max_suppression
non_max_suppression_overlaps non_max_suppression_padded non_max_suppression_with_scores pad_to_bounding_box
per_image_standardization psnr random_brightness random_contrast random_flip_left_right random_flip_up_down random_hue
random_saturation resize resize_with_crop_or_pad rgb_to_grayscale rgb_to_hsv rgb_to_yiq rgb_to_yuv
rot90 sobel_edges ssim ssim_multiscale total_variation transpose yiq_to_rgb yuv_to_rgb
"""
_LINALG = """
adjoint band_part cholesky cholesky_solve cross det diag diag_part eigh eigvalsh einsum expm eye inv l2_normalize
logdet lstsq lu lu_matrix_inverse lu_reconstruct lu_solve matmul matrix_rank matrix_transpose matvec norm normalize
pinv qr set_diag slogdet solve sqrtm svd tensor_diag tensor_diag_part tensordot trace triangular_solve
tridiagonal_matmul tridiagonal_solve
"""

SYMBOLS_BY_MODULE = MappingProxyType(
    {
        "": f"{_COMMON} {_SHAPE} eig eigvals matrix_square_root",
        "__operators__": "add eq getitem ne",
        "math": (
            f"{_MATH} bessel_i0 bessel_i0e bessel_i1 bessel_i1e cumulative_logsumexp divide_no_nan erfcinv "
            "erfinv in_top_k l2_normalize log_softmax multiply_no_nan ndtri nextafter polyval reciprocal_no_nan "
            "reduce_euclidean_norm reduce_std reduce_variance softmax softplus softsign top_k xdivy xlog1py xlogy "
            "zero_fraction bincount is_finite is_inf is_nan add_n"
        ),
        "nn": f"{_NN} gelu isotonic_regression",
        "image": f"{_IMAGE} resize_with_pad",
        "linalg": f"{_LINALG} banded_triangular_solve eig eigh_tridiagonal eigvals logm",
        "signal": (
            "dct fft fft2d fft3d fftshift frame hamming_window hann_window idct ifft ifft2d ifft3d ifftshift "
            "inverse_mdct inverse_stft irfft irfft2d irfft3d kaiser_bessel_derived_window kaiser_window "
            "linear_to_mel_weight_matrix mdct mfccs_from_log_mel_spectrograms overlap_and_add rfft rfft2d rfft3d "
            "stft vorbis_window"
        ),
        "strings": (
            "as_string bytes_split format join length lower ngrams reduce_join regex_full_match regex_replace "
            "split strip substr to_hash_bucket to_hash_bucket_fast to_hash_bucket_strong to_number unicode_decode "
            "unicode_encode unicode_split unicode_transcode unsorted_segment_join upper"
        ),
        "bitwise": "bitwise_and bitwise_or bitwise_xor invert left_shift right_shift",
        "random": (
            "categorical gamma normal poisson shuffle stateless_categorical stateless_normal "
            "stateless_truncated_normal stateless_uniform truncated_normal uniform"
        ),
        "dtypes": "cast complex saturate_cast",
        "compat.v1": (
            f"{_MATH} {_SHAPE} add_n arg_max arg_min batch_gather check_numerics cholesky cholesky_solve "
            "clip_by_average_norm cross depth_to_space diag diag_part div div_no_nan extract_image_patches fft "
            "fft2d fft3d floor_div ifft ifft2d ifft3d is_finite is_inf is_nan lin_space matrix_band_part "
            "matrix_determinant matrix_diag matrix_diag_part matrix_inverse matrix_set_diag matrix_solve "
            "matrix_solve_ls matrix_square_root matrix_transpose matrix_triangular_solve multinomial qr "
            "random_normal random_shuffle random_uniform reduce_join regex_replace reverse_v2 self_adjoint_eig "
            "space_to_depth string_join string_split string_strip string_to_hash_bucket "
            "string_to_hash_bucket_fast string_to_number substr svd to_bfloat16 to_complex128 to_complex64 "
            "to_double to_float to_int32 to_int64 trace truncated_normal where_v2"
        ),
        "compat.v1.math": (f"{_MATH} l2_normalize log_softmax softmax softplus softsign top_k zero_fraction in_top_k"),
        "compat.v1.nn": (
            f"{_NN} avg_pool_v2 depthwise_conv2d_native fused_batch_norm max_pool_v2 relu_layer "
            "softmax_cross_entropy_with_logits_v2 xw_plus_b"
        ),
        "compat.v1.image": (
            f"{_IMAGE} extract_image_patches resize_area resize_bicubic resize_bilinear "
            "resize_image_with_crop_or_pad resize_image_with_pad resize_images resize_nearest_neighbor "
            "transpose_image"
        ),
        "compat.v1.linalg": _LINALG,
        "keras.backend": (
            "abs all any argmax argmin batch_dot batch_flatten batch_normalization bias_add binary_crossentropy "
            "cast cast_to_floatx categorical_crossentropy clip concatenate conv1d conv2d conv2d_transpose conv3d "
            "cos ctc_batch_cost cumprod cumsum depthwise_conv2d dot elu equal exp expand_dims flatten gather "
            "greater greater_equal in_top_k l2_normalize less less_equal log max maximum mean min minimum "
            "not_equal one_hot ones_like permute_dimensions pool2d pool3d pow prod relu repeat repeat_elements "
            "reshape resize_images resize_volumes reverse round separable_conv2d shape sigmoid sign sin softmax "
            "softplus softsign sparse_categorical_crossentropy spatial_2d_padding spatial_3d_padding sqrt square "
            "squeeze stack std stop_gradient sum tanh temporal_padding tile transpose var zeros_like"
        ),
        "keras.activations": "elu exponential gelu linear relu selu sigmoid softmax softplus softsign swish tanh",
    }
)
"""Public module, without the leading ``tf.`` → names of its permitted functions."""

ALLOWED_SYMBOLS = frozenset(
    f"{module}.{name}" if module else name for module, names in SYMBOLS_BY_MODULE.items() for name in names.split()
)
"""What ``TFOpLambda`` and its like may name."""
