"""Pairing arrays with variables by names, order and leaves."""

from __future__ import annotations

from collections.abc import Sequence

from safeload.runtime._weights._match import Slot, leaf_name, pair
from safeload.runtime._weights._saved import Saved


def _saved(*names: str) -> list[Saved]:
    return [Saved(tuple(n.split("/")[:-1]), n.split("/")[-1], (), lambda: None, n) for n in names]


def _slots(*names: str, is_known: bool = True) -> list[Slot]:
    return [Slot(tuple(n.split("/")), (), is_known, n, None) for n in names]


def _always(pairs: Sequence[object]) -> bool:
    return True


def _paired(saved: list[Saved], *orders: list[Slot]) -> list[tuple[str, str]] | None:
    pairs = pair(saved, orders, _always)
    return None if pairs is None else [(item.source, slot.variable) for item, slot in pairs]


def test_full_names_decide_over_the_order() -> None:
    """A nested model whose layers are now in another order is matched by layer names."""
    found = _paired(_saved("b/kernel", "a/kernel"), _slots("m/a/kernel", "m/b/kernel"))
    assert found == [("b/kernel", "m/b/kernel"), ("a/kernel", "m/a/kernel")]


def test_more_names_decide_where_two_are_not_enough() -> None:
    """Cells of two layers have the same names; those above tell them apart."""
    found = _paired(_saved("b/f/cell/kernel", "a/f/cell/kernel"), _slots("m/a/f/cell/kernel", "m/b/f/cell/kernel"))
    assert found == [("b/f/cell/kernel", "m/b/f/cell/kernel"), ("a/f/cell/kernel", "m/a/f/cell/kernel")]


def test_names_of_today_decide_over_those_that_changed() -> None:
    """LayerScale has a weight that Keras 3 calls ``variable``, as it calls each one without a name."""
    found = _paired(_saved("a/variable", "a/gamma"), _slots("a/gamma", "a/variable", is_known=False))
    assert found == [("a/variable", "a/variable"), ("a/gamma", "a/gamma")]
    assert _paired(_saved("a/variable"), _slots("a/gamma")) == [("a/variable", "a/gamma")]


def test_order_decides_where_owners_have_other_names() -> None:
    """Cells that a release numbered are matched by order."""
    found = _paired(_saved("f/gru_1/kernel", "b/gru_2/kernel"), _slots("f/gru/kernel", "b/gru/kernel"))
    assert found == [("f/gru_1/kernel", "f/gru/kernel"), ("b/gru_2/kernel", "b/gru/kernel")]


def test_a_later_order_is_taken_where_the_first_contradicts_the_leaves() -> None:
    """A frozen nested model, saved layer by layer, is recognised by its leaf names."""
    first = _slots("x/kernel", "x/kernel", "x/moving_mean")
    second = [first[0], first[2], first[1]]
    found = pair(_saved("a/kernel", "b/moving_mean", "c/kernel"), [first, second], _always)
    assert found is not None
    assert [slot.path[-1] for _, slot in found] == ["kernel", "moving_mean", "kernel"]


def test_unique_leaves_are_matched_whatever_the_order() -> None:
    """Gamma and beta in another order go to gamma and beta."""
    found = _paired(_saved("n/beta", "n/gamma"), _slots("q/gamma", "q/beta"))
    assert found == [("n/beta", "q/beta"), ("n/gamma", "q/gamma")]


def test_what_keras_1_called_w_is_a_kernel_or_embeddings() -> None:
    """One name of Keras 1 stands for two of today's; of later releases they are different weights."""
    old = [item._replace(era_1=True) for item in _saved("embedding_1/kernel")]
    for ours in ("kernel", "embeddings"):
        assert _paired(old, _slots(f"embedding_1/{ours}"))
    assert _paired(_saved("embedding_1/kernel"), _slots("embedding_1/embeddings")) is None


def test_foreign_leaves_of_a_known_layer_match_nothing() -> None:
    """A layer of Keras has certain names, so other ones mean another layer."""
    assert _paired(_saved("n/weight"), _slots("q/kernel")) is None


def test_foreign_leaves_of_the_callers_layer_match_by_order() -> None:
    """The caller's layers may name their weights as they like."""
    assert _paired(_saved("n/att_1_W"), _slots("q/att_W", is_known=False)) == [("n/att_1_W", "q/att_W")]


def test_a_pairing_that_does_not_fit_is_not_taken() -> None:
    """Shapes have the last word."""
    assert pair(_saved("n/kernel"), [_slots("q/kernel")], lambda pairs: False) is None


def test_another_count_matches_nothing() -> None:
    """A missing array is never guessed."""
    assert _paired(_saved("n/kernel"), _slots("q/kernel", "q/bias")) is None


def test_leaf_names_of_old_releases() -> None:
    """Counters of a graph and renamed leaves mean today's names."""
    assert [leaf_name(n) for n in ("kernel_1", "depthwise_kernel", "sn_u", "bias")] == [
        "kernel",
        "kernel",
        "vector_u",
        "bias",
    ]
