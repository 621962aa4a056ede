"""Names and split arrays of Keras 1."""

from __future__ import annotations

import numpy as np
import pytest

from safeload.runtime._weights._saved import saved_arrays


def _entries(*names: str, shape: tuple[int, ...] = (2, 1)) -> list[tuple[str, tuple[int, ...], object]]:
    return [(name, shape, lambda i=i: np.full(shape, i)) for i, name in enumerate(names)]


def test_names_of_keras_2_are_split() -> None:
    """The leaf loses its output number and the layers above it stay."""
    (item,) = saved_arrays(_entries("bi/forward_gru/kernel:0"))
    assert (item.owner, item.leaf, item.era_1) == (("bi", "forward_gru"), "kernel", False)


def test_lstm_gates_of_keras_1_are_joined_in_todays_order() -> None:
    """Keras 1 saved i, c, f, o apart; today's kernel holds i, f, c, o."""
    items = saved_arrays(_entries(*(f"lstm_1_W_{gate}:0" for gate in "icfo")))
    assert [(item.leaf, item.shape) for item in items] == [("kernel", (2, 4))]
    assert items[0].read()[0].tolist() == [0, 2, 1, 3]


def test_gru_gates_of_keras_1_are_joined_per_layer() -> None:
    """The two directions of a Bidirectional stay apart."""
    names = [f"{way}_gru_1_{leaf}_{gate}:0" for way in ("forward", "backward") for gate in "zrh" for leaf in "WUb"]
    items = saved_arrays(_entries(*names))
    assert [item.leaf for item in items] == ["kernel", "recurrent_kernel", "bias"] * 2
    assert [item.owner for item in items] == [("forward_gru_1",)] * 3 + [("backward_gru_1",)] * 3


@pytest.mark.parametrize(
    ("name", "leaf"),
    [
        ("dense_1_W:0", "kernel"),
        ("bn_1_running_std:0", "moving_variance"),
        ("prelu_1_alphas:0", "alpha"),
        ("softplus_1_betas", "beta"),
        ("highway_1_W_carry", "W_carry"),
    ],
)
def test_leaves_of_keras_1(name: str, leaf: str) -> None:
    """Keras 1 names mean today's leaves."""
    (item,) = saved_arrays(_entries(name))
    assert (item.leaf, item.era_1) == (leaf, True)


def test_a_slash_in_a_file_of_keras_1_is_part_of_the_layers_name() -> None:
    """Elsewhere it parts the layer from its weight."""
    (item,) = saved_arrays(_entries("block/dense_W:0"), is_era_1=True)
    assert (item.owner, item.leaf, item.era_1) == (("block/dense",), "kernel", True)
    (item,) = saved_arrays(_entries("block/dense_W:0"))
    assert (item.owner, item.leaf, item.era_1) == (("block",), "dense_W", False)


def test_plain_names_are_not_taken_for_keras_1() -> None:
    """``mean:0`` of a Normalization layer has no owner and no era."""
    items = saved_arrays(_entries("mean:0", "variance:0", "count:0"))
    assert [(item.owner, item.leaf) for item in items] == [((), "mean"), ((), "variance"), ((), "count")]
