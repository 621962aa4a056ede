"""The uniform callable around what somebody else loaded. Layer: runtime.

Nothing here was judged before it was loaded, unless `wrap_loader` is given the judging to do.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable
from typing import Any, ParamSpec

from safeload.errors import LoadFailedError, SafeloadError
from safeload.runtime._callable._model_callable import ModelCallable
from safeload.runtime._keras._runtime import KerasRuntime
from safeload.runtime._object import ObjectRuntime
from safeload.runtime._saved_model._runtime import first_line

P = ParamSpec("P")


def as_callable(obj: Any, *, signature: str | None = None) -> ModelCallable:
    """Make the uniform callable of something that is already loaded.

    Args:
        obj: What `tf.saved_model.load` returned, a Keras or tf_keras model, a ConcreteFunction, or a `tf.Module`.
        signature: Key of a signature or name of a traced function; None to follow the same ladder as `load_callable`.

    Returns:
        The callable. Nothing was inspected or judged: the object was loaded by somebody else.

    Raises:
        SignatureNotFoundError: ``signature-not-found``. There is none of that name.
        AmbiguousSignatureError: ``ambiguous-signature``. Several functions, none of them the default.
        NoCallableError: ``no-callable``. The object has no traced function.
    """
    if isinstance(obj, ModelCallable):
        return obj if signature is None else obj.with_signature(signature)
    where = f"<{type(obj).__name__}>"
    if _is_keras_model(obj):
        return ModelCallable(KerasRuntime(obj, where=where), signature or "model")
    runtime = ObjectRuntime(obj, where)
    return ModelCallable(runtime, runtime.choose(signature).key)


def wrap_loader(
    loader: Callable[P, Any],
    *,
    judge: Callable[[str], tuple[Any, str]],
    advise: Callable[[Exception], str | None] = lambda _: None,
) -> Callable[P, ModelCallable]:
    """Make *loader* look before it loads, explain what goes wrong, and return a `ModelCallable`.

    Guarantees:
        The path is inspected and judged first. The loader then reads it again: somebody who can replace the file in
        between decides what is loaded. `load_callable` has no such gap.

    Args:
        loader: A function whose first parameter is a path, such as `tf.keras.models.load_model`.
        judge: Inspects and judges a path; returns its report and content digest, or raises.
        advise: Says what an error of *loader* means and what to do, or returns None.

    Returns:
        A function with the arguments of *loader*. The ``model`` of what it returns is the loader's own object.

    Raises:
        LoadFailedError: ``load-failed``. By the returned function, if the loader fails; its error is the cause.
    """

    @functools.wraps(loader)
    def load(*args: P.args, **kwargs: P.kwargs) -> ModelCallable:
        path = os.fspath(_first_argument(loader, args, kwargs))
        report, digest = judge(path)
        try:
            loaded = loader(*args, **kwargs)
        except SafeloadError:
            raise
        except Exception as error:
            name = getattr(loader, "__name__", "the loader")
            hint = advise(error) or "load_callable loads the same path without this loader"
            raise LoadFailedError(path, problem=f"{name} failed: {first_line(error)}", hint=hint) from error
        found = as_callable(loaded)
        return ModelCallable(found.backend, found.key, report=report, digest=digest)

    return load


def _first_argument(loader: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what a call passes for the first parameter of *loader*, by position or by name."""
    return args[0] if args else next(iter(inspect.signature(loader).bind(**kwargs).arguments.values()))


def _is_keras_model(obj: Any) -> bool:
    """Tell a Keras or tf_keras model by its classes' modules, without importing either package."""
    return any(cls.__name__ == "Layer" and re.match(r"(tf_)?keras\b", cls.__module__) for cls in type(obj).__mro__)
