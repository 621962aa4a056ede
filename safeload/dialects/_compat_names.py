"""The names of safeload's own objects: what an old release computed and Keras 3 does not.

The normal form refers to them with the module `COMPAT_MODULE`; `runtime.compat` implements each.
Layer: dialects; the names are the contract with the runtime.
"""

from __future__ import annotations

from types import MappingProxyType

COMPAT_MODULE = "safeload.compat"

COMPAT_OBJECTS = MappingProxyType(
    {
        # Functions: {"module": COMPAT_MODULE, "class_name": "function", "config": name, "registered_name": name}.
        "hard_sigmoid": "activation of Keras 1 and 2: clip(0.2 * x + 0.5, 0, 1)",
        "hard_sigmoid_of_keras_3": "activation of Keras 3 on the road of tf_keras: relu6(x + 3) / 6",
        # Layers of Keras 1 and 2 that are gone. The config holds the keys of the last release that had the class.
        "LocallyConnected1D": "Keras 2 layer: unshared convolution; keys as in tf_keras, implementation dropped",
        "LocallyConnected2D": "Keras 2 layer: unshared convolution; keys as in tf_keras, implementation dropped",
        "ThresholdedReLU": "Keras 2 layer: x * (x > theta)",
        "Deconvolution2D": "Keras 1 layer with the keys of Conv2DTranspose and output_shape (with batch axis), which decides the size",
        "MaxoutDense": "Keras 1 layer: max over nb_feature of x.W + b; units, nb_feature, use_bias, initializers as in Dense",
        "Highway": "Keras 1 layer: t * act(x.W + b) + (1 - t) * x with t = sigmoid(x.W_carry + b_carry); activation, use_bias",
        "SReLU": "Keras 1 layer with weights t_left, a_left, t_right, a_right; shared_axes",
        "ParametricSoftplus": "Keras 1 layer: softplus(beta * x) * alpha with weights alpha, beta; shared_axes",
        "BatchNormalization": "Keras 1 layer with mode 1 (normalise each sample over its last axis) or 2 (each batch, in inference too); "
        "mode, axis, epsilon, momentum",
        "UpSampling2D": "standalone Keras 2: bilinear with corners at the origin (no half-pixel centres); size, data_format",
        "RandomCrop": "tf.keras before 2.7: resized bilinearly to cover height x width, then the centre cropped; height, width",
        "CausalAttention": "keras.layers.Attention of Keras 2 with causal=True: called with use_causal_mask=True",
        "CausalAdditiveAttention": "keras.layers.AdditiveAttention of Keras 2 with causal=True: called with use_causal_mask=True",
        "TensorFlowSymbol": "tf.keras TFOpLambda, SlicingOpLambda …: the TensorFlow function named by function (see _ops.ALLOWED_SYMBOLS)",
        "TensorFlowNode": "tf.keras TensorFlowOpLayer: the op of node_def (a NodeDef as JSON) with constants by input index",
        "RandomFourierFeatures": "Keras 2 layer: cos(x.W / scale + b) with weights unscaled_kernel, bias, scale; output_dim",
    }
)
"""Name → what it computes.

Source:
    keras 1.2.2 ``keras/layers/core.py``, ``advanced_activations.py``, ``normalization.py``, ``convolutional.py``;
    keras 2.15.0 ``keras/src/layers/locally_connected``, ``keras/src/backend.py`` (hard_sigmoid, resize_images).
"""
