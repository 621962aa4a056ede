"""The uniform callable around what somebody else loaded. Layer: runtime.

Nothing here was judged before it was loaded, unless `wrap_loader` is given the judging to do.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec

from safeload._explain import first_line
from safeload.errors import AmbiguousSignatureError, InputMismatchError, LoadFailedError, SafeloadError
from safeload.runtime._callable._fork import require_usable
from safeload.runtime._callable._model_callable import ModelCallable
from safeload.runtime._keras._runtime import KerasRuntime
from safeload.runtime._object import ObjectRuntime

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
        InputMismatchError: ``input-mismatch``. *loader* is no loader; by the returned function, if it is given no path.
        LoadFailedError: ``load-failed``. By the returned function, if the loader fails; its error is the cause. Or
            the process was forked after TensorFlow had run in its parent.
    """
    if not _loads(loader):
        raise InputMismatchError(
            f"wrap_loader takes a function that loads, not an object of type {type(loader).__name__}",
            hint="for an object in hand: safeload.as_callable(obj); for a path: safeload.load_callable(path)",
        )

    @functools.wraps(loader)
    def load(*args: P.args, **kwargs: P.kwargs) -> ModelCallable:
        path = _path_among(_arguments(loader, args, kwargs), loader)
        report, digest = judge(path)
        require_usable(path)
        try:
            loaded = loader(*args, **kwargs)
        except SafeloadError:
            raise
        except Exception as error:
            hint = advise(error) or "load_callable loads the same path without this loader"
            raise LoadFailedError(path, problem=f"{_name(loader)} failed: {first_line(error)}", hint=hint) from error
        try:
            found = as_callable(loaded)
        except AmbiguousSignatureError as error:  # what is called now takes the arguments of the loader
            error.hint = f"{error.hint}, given to load_callable(path, …) or as_callable(loaded, …)"
            raise
        return ModelCallable(found.backend, found.key, report=report, digest=digest)

    return load


def _arguments(loader: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
    """Yield what a call passes, in the order of the parameters of *loader*, defaults included."""
    try:
        signature = inspect.signature(loader)
    except ValueError:  # of functions that are not written in Python
        yield from (*args, *kwargs.values())
        return
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    yield from (*bound.args, *bound.kwargs.values())


def _path_among(arguments: Iterator[Any], loader: Callable[..., Any]) -> str:
    """Return the first argument that is a path: a method has its object before it."""
    path = next((value for value in arguments if isinstance(value, (str, bytes, os.PathLike))), None)
    if path is None:
        raise InputMismatchError(
            f"{_name(loader)} is given no path, which would be inspected first",
            hint="for bytes and open files: safeload.load_callable; for an object in hand: safeload.as_callable(obj)",
        )
    return os.fsdecode(path)


def _loads(loader: Any) -> bool:
    """Tell a function that may load from a model, which can be called too."""
    return callable(loader) and not isinstance(loader, ModelCallable) and not _is_keras_model(loader)


def _name(loader: Callable[..., Any]) -> str:
    return getattr(loader, "__name__", None) or "the loader"


def _is_keras_model(obj: Any) -> bool:
    """Tell a Keras or tf_keras model by its classes' modules, without importing either package."""
    return any(cls.__name__ == "Layer" and re.match(r"(tf_)?keras\b", cls.__module__) for cls in type(obj).__mro__)
