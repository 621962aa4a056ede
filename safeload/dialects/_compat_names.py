"""The names of safeload's own objects: what an old release computed and Keras 3 does not.

The normal form refers to them with the module `COMPAT_MODULE`; `runtime.compat` implements each.
Layer: dialects; the names are the contract with the runtime.
"""

from __future__ import annotations

from types import MappingProxyType

COMPAT_MODULE = "safeload.compat"

MERGING = ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")
OF_SEVERAL = (*MERGING, "AdditiveAttention", "Attention")
"""Layers that a list of tensors is given to, of which several may have masks; the first ones merge them."""

TAKES_GIVEN_MASKS = (
    "AdditiveAttention",
    "Attention",
    "BatchNormalization",
    "Bidirectional",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "GRU",
    "LSTM",
    "RNN",
    "SimpleRNN",
    "Softmax",
    "TimeDistributed",
)
"""Layers that a call may give a mask, and that give one."""

COMPAT_OBJECTS = MappingProxyType(
    {
        # Functions: {"module": COMPAT_MODULE, "class_name": "function", "config": name, "registered_name": name}.
        "hard_sigmoid": "activation of Keras 1 and 2: clip(0.2 * x + 0.5, 0, 1)",
        "hard_sigmoid_of_keras_3": "activation of Keras 3 on the road of tf_keras: relu6(x + 3) / 6",
        # Layers of Keras 1 and 2 that are gone. The config holds the keys of the last release that had the class.
        "LocallyConnected1D": "Keras 2 layer: unshared convolution; keys as in tf_keras",
        "LocallyConnected2D": "Keras 2 layer: unshared convolution; keys as in tf_keras",
        "ThresholdedReLU": "Keras 2 layer: x * (x > theta)",
        "Deconvolution2D": "Keras 1 layer: keys of Conv2DTranspose; output_shape decides the size",
        "MaxoutDense": "Keras 1 layer: max over nb_feature of x.W + b; the other keys as in Dense",
        "Highway": "Keras 1 layer: t * act(x.W + b) + (1 - t) * x, t = sigmoid(x.W_carry + b_carry)",
        "CosineMerge": "Keras 1 Merge, mode cos: a.b / max(sqrt(a.a * b.b), 1e-7), and an axis of one after the first",
        "SReLU": "Keras 1 layer with weights t_left, a_left, t_right, a_right; shared_axes",
        "ParametricSoftplus": "Keras 1 layer: softplus(beta * x) * alpha with weights alpha, beta; shared_axes",
        "BatchNormalization": "Keras 1 layer: mode 1 (each sample over its last axis) or 2 (each batch); "
        "mode, axis, epsilon, momentum",
        "EinsumDense": "Keras 2 layer with None in output_shape: a size that the input has, its output has, too",
        "SyncBatchNormalization": "Keras 2 layer: BatchNormalization, in archives under a name of its own",
        "Dot": "Keras up to 2.2.4, TensorFlow up to 1.15: inputs of more than three axes are stacks of matrices",
        "UpSampling2D": "standalone Keras 2: bilinear, corners at the origin (no half-pixel centres)",
        "Discretization": "TensorFlow 2.5: boundaries and NaN belong to the bin below; weight bins, which ends in inf",
        "CustomScaleLayer": "of keras.applications.inception_resnet_v2: a + b * scale for inputs a and b",
        "LayerScale": "of keras.applications.convnext: x * gamma, a weight for each channel",
        "StochasticDepth": "of keras.applications.convnext: drops examples while training, and nothing in inference",
        "Resizing": "tf.keras, Keras 3 before 3.6: casts_first, gives say how images are cast; integers are cut off",
        "CenterCrop": "as Resizing, where it resizes images that are too small",
        "RandomCrop": "tf.keras before 2.7: resized bilinearly to cover height x width, centre cropped",
        **dict.fromkeys(
            ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"),
            "Keras 2 layer whose output has the masks of all inputs that have one, combined by and",
        ),
        "Concatenate": "Keras 2 layer: as Add, where it joins features",
        **dict.fromkeys(
            [f"Unmasked{name}" for name in OF_SEVERAL],
            "Keras 3 layer before 3.4: gives no mask, whatever its inputs have",
        ),
        **dict.fromkeys(
            ("ColumnCategoryEncoding", "ColumnDiscretization"),
            "Keras 3 layer before 3.4 with output_mode one_hot: leaves the last axis of a column in place",
        ),
        **dict.fromkeys(("Identity", "Normalization", "Rescaling"), "Keras 2 layer: gives no mask"),
        "TimeDistributed": "Keras 2 layer: gives the mask of the layer inside",
        "MaskPassingTimeDistributed": "Keras up to 2.1, TensorFlow up to 1.9: no masks inside, the input's goes on",
        "EitherTimeDistributed": "TensorFlow 1.9 to 1.12: refused where the first and the later ones differ in masks",
        "UnmaskedReLU": "tf.keras before 2.5: gives no mask",
        **dict.fromkeys(
            [f"InputMasked{name}" for name in TAKES_GIVEN_MASKS],
            "Keras 3 layer before 3.11 that a call gives a mask: gives the mask of its input",
        ),
        **dict.fromkeys(
            [f"EitherMasked{name}" for name in TAKES_GIVEN_MASKS],
            "Keras 3 layer of an unknown release that a call gives a mask: the same, if its input has one",
        ),
        "MultiHeadAttention": "tf.keras from 2.10 on and Keras 3 before 3.8: leaves the masks of its inputs in place",
        "UnmaskedMultiHeadAttention": "tf.keras before 2.10: attends to masked steps, too, and gives no mask",
        "CausalAttention": "keras.layers.Attention of Keras 2 with causal=True: called with use_causal_mask=True",
        "CausalAdditiveAttention": "AdditiveAttention of Keras 2 with causal=True: called with use_causal_mask=True",
        "Bidirectional": "Keras 2 layer: each direction gives zeros for masked steps if its layer was told to",
        "TensorFlowSymbol": "tf.keras TFOpLambda, SlicingOpLambda …: a function of `ALLOWED_SYMBOLS`",
        "TensorFlowNode": "tf.keras TensorFlowOpLayer: the op of a NodeDef, with constants by input index",
        "RandomFourierFeatures": "Keras 2 layer: cos(x.W / scale + b); weights unscaled_kernel, bias, scale",
    }
)
"""Name → what it computes.

Source:
    keras 1.2.2 ``keras/layers/core.py``, ``advanced_activations.py``, ``normalization.py``, ``convolutional.py``;
    keras 2.15.0 ``keras/src/layers/locally_connected``, ``keras/src/backend.py`` (hard_sigmoid, resize_images).
"""
