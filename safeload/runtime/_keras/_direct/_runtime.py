"""A Keras file as a function, until somebody asks for the model or for what only the model can do. Layer: runtime."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tensorflow.python.eager import context

from safeload.runtime._eager_function import EagerFunction, Flat, only, runs_plainly
from safeload.runtime._keras._direct._values import hand_over
from safeload.runtime._keras._runtime import KerasRuntime, OneCallable

if TYPE_CHECKING:
    from safeload.inspection import SignatureInfo
    from safeload.runtime._keras._direct._graph import Graph, Shape


class DirectRuntime(OneCallable):
    """Runs a function that was made from a config; builds the model of that config when it is asked for.

    A tape or a graph asks for it, too. From then on the model's variables count, and the model answers calls.

    Args:
        graph: The function.
        handles: Its variables, with their values.
        static: What inspection knew of the input and the output.
        shape: Shape of the output.
        where: How messages name the model.
        build: Builds the model, and lets its argument give the values.
    """

    def __init__(
        self,
        graph: Graph,
        handles: Sequence[Any],
        *,
        static: SignatureInfo,
        shape: Shape,
        where: str,
        build: Callable[[Callable[[Any], None]], Any],
    ) -> None:
        super().__init__(where, replace(static, outputs=(replace(static.outputs[0], dtype="float32", shape=shape),)))
        self.route = "direct"
        self._build = build
        self._give = partial(hand_over, variables=graph.variables, handles=handles, where=where)
        self._keras: KerasRuntime | None = None
        self._lock = threading.Lock()
        name = graph.definition.signature.name
        context.context().add_function_def(graph.definition)
        # Not at exit: TensorFlow's context may be gone by then.
        weakref.finalize(self, context.context().remove_function, name).atexit = False
        self._eager: EagerFunction | None = EagerFunction(name.encode(), list(handles), 1, only)

    @property
    def eager(self) -> Callable[[Flat], Any] | None:
        """The function, until the model is there."""
        return self._eager

    @property
    def model(self) -> Any:
        """The Keras model, made when it is first asked for."""
        return self.keras.model

    @property
    def keras(self) -> KerasRuntime:
        """The runtime of the model, which is built in a thread of its own: none of the caller's scopes are open there.

        Raises:
            LoadFailedError: ``load-failed``. Keras does not build it.
        """
        with self._lock:
            if self._keras is None:
                with ThreadPoolExecutor(1, thread_name_prefix="safeload") as pool:
                    model = pool.submit(self._build, self._give).result()
                self._keras = KerasRuntime(model, where=self.where, static=self._signature, route=self.route)
                self._eager = None
                del self._build, self._give
            return self._keras

    def function(self, signature: SignatureInfo, given: frozenset[str]) -> Callable[[Mapping[str, Any]], Any]:
        """Return the function, and what takes its place once there is a model."""
        return _Function(self, signature, given)

    def close(self) -> None:
        """Forget the function and the model."""
        self._eager = self._keras = None


class _Function:
    """A call of the one input."""

    def __init__(self, runtime: DirectRuntime, signature: SignatureInfo, given: frozenset[str]) -> None:
        self._runtime = runtime
        self._signature = signature
        self._given = given
        self._ordinary: Callable[[Mapping[str, Any]], Any] | None = None

    def __call__(self, tensors: Mapping[str, Any]) -> Any:
        if runs_plainly():
            return self.plain(list(tensors.values()))
        return self._of_keras(tensors)

    def plain(self, flat: Flat) -> Any:
        """Run it where neither a tape nor a graph sees it."""
        eager = self._runtime.eager
        return self._of_keras(dict(zip(self._given, flat, strict=True))) if eager is None else eager(flat)

    def _of_keras(self, tensors: Mapping[str, Any]) -> Any:
        if self._ordinary is None:
            self._ordinary = self._runtime.keras.function(self._signature, self._given)
        return self._ordinary(tensors)
