"""The callable around what others loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from saved_models import WEIGHTS, Linear, X

from safeload.errors import AmbiguousSignatureError, LoadFailedError, NoCallableError, UnrecognizedFormatError
from safeload.runtime import as_callable, wrap_loader

Saved = Callable[[str], Path]
Y = X @ WEIGHTS


def equal(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", ["module", "signatures", "table"])
def test_loaded_saved_model(saved: Saved, name: str) -> None:
    """What tf.saved_model.load returns becomes callable by the same ladder."""
    loaded = tf.saved_model.load(str(saved(name)))
    fn = as_callable(loaded)
    assert fn.model is loaded
    if name == "table":
        equal(fn(["pear", "?"]), [1, 2])
    else:
        equal(fn(X.astype(np.float64)), Y)


def test_loaded_tf1_model(saved: Saved) -> None:
    """A model of TensorFlow 1 is reached by its signature."""
    equal(as_callable(tf.saved_model.load(str(saved("custom_tags")), tags=list("serv")))([1.0]), [2])


def test_live_objects() -> None:
    """A module, a tf.function and a ConcreteFunction are called as they are."""
    module = Linear()
    equal(as_callable(module)(X), Y)
    equal(as_callable(module, signature="minus")([5.0], [3.0]), [2])
    equal(as_callable(module.minus)([5.0], [3.0]), [2])
    equal(as_callable(module.minus.get_concrete_function())(a=[3.0], b=[5.0]), [2])
    module.nested.get_concrete_function({"a": tf.TensorSpec([1]), "n": [tf.TensorSpec([1]), tf.TensorSpec([1])]})
    result = as_callable(module, signature="nested")({"a": [1.0], "n": [[2.0], [3.0]]})
    equal(result["rest"][0], [6])


def test_itself() -> None:
    """A ModelCallable stays one."""
    fn = as_callable(Linear())
    assert as_callable(fn) is fn
    equal(as_callable(fn, signature="minus")([5.0], [3.0]), [2])
    fn.close()


def test_nothing_to_call() -> None:
    """An object without traced functions, and one with several, are errors that say so."""
    with pytest.raises(NoCallableError, match="<Module>"):
        as_callable(tf.Module())

    class Two(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([])])
        def encode(self, x: Any) -> Any:
            return x

        @tf.function(input_signature=[tf.TensorSpec([])])
        def decode(self, x: Any) -> Any:
            return x

    with pytest.raises(AmbiguousSignatureError, match="encode"):
        as_callable(Two())


def test_wrapped_loader_judges_first(saved: Saved) -> None:
    """The path is judged before the loader sees it; the loader's own object is the model."""
    seen: list[str] = []

    def judge(path: str) -> tuple[str, str]:
        seen.append(path)
        return "report", "digest"

    @lambda loader: wrap_loader(loader, judge=judge)
    def load(path: str, *, factor: int = 1) -> Any:
        """Load."""
        assert seen
        assert factor == 2
        return tf.saved_model.load(path)

    fn = load(str(saved("module")), factor=2)
    equal(fn(X), Y)
    assert (fn.report, fn.digest, load.__doc__) == ("report", "digest", "Load.")


def test_wrapped_loader_explains() -> None:
    """The loader's error is the cause; a refusal of the judge comes before the loader."""

    def loader(path: str) -> Any:
        raise ValueError("Graph execution error:\n\nno good")

    with pytest.raises(LoadFailedError, match="loader failed: no good") as caught:
        wrap_loader(loader, judge=lambda path: (None, ""))("m")
    assert isinstance(caught.value.__cause__, ValueError)

    def refuse(path: str) -> Any:
        raise UnrecognizedFormatError(path, seen="nothing")

    with pytest.raises(UnrecognizedFormatError):
        wrap_loader(loader, judge=refuse)("m")
    with pytest.raises(UnrecognizedFormatError):
        wrap_loader(refuse, judge=lambda path: (None, ""))("m")
