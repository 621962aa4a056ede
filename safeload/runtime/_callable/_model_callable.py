"""`ModelCallable`: the one face of every loaded model. Layer: runtime."""

from __future__ import annotations

import inspect
import pickle  # noqa: TID251 - for the exception that pickling raises; nothing is unpickled
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, cast

import tensorflow as tf

from safeload._explain import with_place
from safeload.errors import ArtifactChangedError, InputMismatchError, LoadFailedError, SafeloadError
from safeload.runtime._callable._fast import FastCall, learned
from safeload.runtime._callable._fork import require_usable
from safeload.runtime._callable._notes import add_note, missing_attribute
from safeload.runtime._callable._predict import predict
from safeload.runtime._callable._records import as_records
from safeload.runtime._callable._structured import parameters, structured_inputs, structured_outputs
from safeload.runtime._callable._tensors import example, require_parts, to_tensors
from safeload.runtime._callable._unrecorded import call_unrecorded
from safeload.runtime._log import LOG
from safeload.runtime._outside_graphs import outside_graphs, refuse_graph
from safeload.runtime._signals import raise_interruption
from safeload.signatures import Cast, bind, closest, for_inference, with_defaults

if TYPE_CHECKING:
    from safeload._report import InspectionReport
    from safeload.inspection import SignatureInfo, TensorInfo
    from safeload.runtime._keras._runtime import KerasRuntime


class Backend(Protocol):
    """What a `ModelCallable` needs of a loaded model."""

    where: str
    route: str

    @property
    def signatures(self) -> tuple[SignatureInfo, ...]:
        """Everything that can be asked for."""

    @property
    def model(self) -> Any:
        """The loaded object itself."""

    def traces(self, key: str) -> tuple[SignatureInfo, ...]:
        """Return what answers *key*: one signature, or every trace of a function."""

    def function(self, signature: SignatureInfo, given: frozenset[str]) -> Callable[[Mapping[str, Any]], Any]:
        """Make the function for calls that pass the inputs *given*."""

    def close(self) -> None:
        """Release what was loaded."""


@dataclass(frozen=True)
class Recipe:
    """How to load the same model again in another process.

    Attributes:
        loader: A function importable by name that takes *source* and *options*.
        source: The path, or the bytes themselves.
        options: Keyword arguments of the load, all picklable.
        digest: Content digest of what was judged.
    """

    loader: Callable[..., ModelCallable]
    source: str | bytes
    options: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""

    def load(self) -> ModelCallable:
        """Load the model again.

        Raises:
            ArtifactChangedError: ``artifact-changed``. The content is not what it was.
        """
        loaded = self.loader(self.source, **self.options)
        found = loaded.digest
        if self.digest and found != self.digest:
            where = self.source if isinstance(self.source, str) else "<bytes>"
            raise ArtifactChangedError(where, expected=self.digest, found=found)
        return loaded


class ModelCallable:
    """A loaded model as a function.

    One input is passed by position, several by name; numpy arrays, tensors, lists and scalars are taken. One output is
    returned as a tensor, several as a dict in declared order. A call is always inference. Calls work eagerly, inside
    `tf.function`, under `tf.GradientTape` and from several threads; a TensorFlow Lite model has no gradients.

    Args:
        backend: The loaded model.
        key: Which of its signatures answers calls.
        report: What inspection found, or None for objects that were loaded by others.
        recipe: How to load it again, or None if it cannot be pickled.
        digest: Content digest of what was judged, or ``""``.
    """

    autograph_info__: Mapping[str, Any] = MappingProxyType({})
    """Autograph calls this unconverted. Source: `autograph_artifact` in autograph/impl/api.py (TensorFlow 2.21)."""

    def __init__(
        self,
        backend: Backend,
        key: str,
        *,
        report: InspectionReport | None = None,
        recipe: Recipe | None = None,
        digest: str = "",
    ) -> None:
        self._backend: Backend | None = backend
        self._key = key
        self._report = report
        self._recipe = recipe
        self._digest = digest
        self._where = backend.where
        self._functions: dict[tuple[int, frozenset[str]], Callable[[Mapping[str, Any]], Any]] = {}
        self._fast: dict[tuple[Any, ...], FastCall] = {}
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._traces = backend.traces(key)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the model.

        Args:
            *args: The input, or one mapping of input names to values.
            **kwargs: Inputs by name.

        Returns:
            The output tensor; for several outputs a dict, or the nesting that a traced function returned.

        Raises:
            InputMismatchError: ``input-mismatch``. The arguments do not fit the signature.
            LoadFailedError: ``load-failed``. A graph of TensorFlow 1 is being built, the callable was closed, or a
                layer raises an error of Python, which is the cause.
            tf.errors.OpError: The graph itself refuses the values, as an index out of range; a note names the model.
        """
        backend = self._live()
        try:
            fast = self._fast.get((len(args), *kwargs))
            if fast is not None:
                result = fast((*args, *kwargs.values()) if kwargs else args)
                if result is not NotImplemented:
                    return _single(result)
            if self._takes_anything:
                result = call_unrecorded(backend.model, args, for_inference(self._traces[0], kwargs))
                cast("KerasRuntime", backend).require_weights_of_the_file()
                return result
            given, named = as_records(self._traces[0], args, kwargs)
            index, tensors = self._bound(given, named)
            function = self._function(backend, index, frozenset(tensors))
            result = function(tensors)
            if index == 0 and fast is None:
                self._learn(given, named, function, tensors)
            return _single(result)
        except SafeloadError:
            raise
        except Exception as error:
            self._live()  # says so if another thread closed it meanwhile
            self._explain(error)
            raise

    def _explain(self, error: Exception) -> None:
        """Say in a note which model an error of TensorFlow is of; raise any other one in terms of safeload."""
        if isinstance(error, UnicodeDecodeError):  # what TensorFlow quotes in its message may be any bytes of the model
            failed = tf.errors.UnknownError(None, None, error.object.decode("utf-8", "replace"))
            add_note(failed, self._traces[0], self._where)
            raise failed from error
        if isinstance(error, tf.errors.OpError):
            add_note(error, self._traces[0], self._where)
            return
        refuse_graph(error, self._where)
        self._require_its_own(error)

    def _learn(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], function: Callable[..., Any], tensors: Mapping[str, Any]
    ) -> None:
        """Remember how calls of this form bind, if the first trace answers them."""
        bound = bind(self._traces[0], args, kwargs)
        fast = learned(self._traces[0], args, kwargs, bound, function) if bound.keys() == tensors.keys() else None
        if fast is not None and self._backend is not None:
            self._fast[(len(args), *kwargs)] = fast

    @property
    def _takes_anything(self) -> bool:
        """True for Keras models that record no inputs: only they know what they take."""
        return self._traces[0].kind == "keras" and not self._traces[0].inputs

    def _bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Choose the trace that takes the arguments with the least and fewest casts; the first one among equals."""
        best: tuple[tuple[int, ...], int, dict[str, Any]] | None = None
        unbound: list[InputMismatchError] = []
        misfit: InputMismatchError | None = None
        for index, trace in enumerate(self._traces):
            try:
                bound = bind(trace, args, kwargs)
            except InputMismatchError as error:
                unbound.append(error)
                continue
            values = with_defaults(trace, bound)
            try:
                tensors, casts = to_tensors(trace.inputs, values)
                require_parts(trace, tensors)
            except InputMismatchError as error:
                misfit = misfit or error
                continue
            # A trace for the constant itself comes before one that takes the default as a tensor.
            casts = (*casts, *(Cast.NOTHING,) * (len(values) - len(bound)))
            if not casts:
                return index, tensors
            if best is None or casts < best[0]:
                best = casts, index, tensors
        if best is None:
            # A trace that takes the names and constants comes closer than those that do not.
            raise self._with_other(misfit or closest(self._traces, unbound, args, kwargs), args, kwargs)
        return best[1], best[2]

    def _with_other(
        self, refusal: InputMismatchError, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> InputMismatchError:
        """Let the hint name another function of the model that takes the arguments, if there is one."""
        backend = self._live()
        for key in (signature.key for signature in backend.signatures if signature.key != self._key):
            if any(_takes(trace, args, kwargs) for trace in backend.traces(key)):
                hint = f"{refusal.hint}; another function of the model takes this: with_signature({key!r})"
                return InputMismatchError(refusal.problem, hint=hint)
        return refusal

    def _function(self, backend: Backend, index: int, given: frozenset[str]) -> Callable[[Mapping[str, Any]], Any]:
        found = self._functions.get((index, given))
        if found is None:
            with self._lock:
                found = self._functions.setdefault((index, given), backend.function(self._traces[index], given))
        return found

    def _live(self) -> Backend:
        require_usable(self._where)
        if self._closed.is_set():
            hint = "load the model again with load_callable"
            raise LoadFailedError(self._where, problem="this callable was closed", hint=hint)
        return self._backend or self._reloaded(cast("Recipe", self._recipe))

    def _reloaded(self, recipe: Recipe) -> Backend:
        """Load once, whichever thread calls first."""
        with self._lock:
            if self._backend is None:
                loaded = recipe.load()
                self._backend, self._report = loaded.backend, loaded.report
            return self._backend

    @property
    def backend(self) -> Backend:
        """The runtime that owns the variables; not meant for users."""
        return self._live()

    @property
    def key(self) -> str:
        """Key of the signature that answers calls."""
        return self._key

    @property
    def signature(self) -> SignatureInfo:
        """The signature that answers calls; of a function with several traces, the first one for inference."""
        return self._traces[0]

    @property
    def route(self) -> str:
        """How the model was loaded; empty for what has one way only, or was loaded by somebody else.

        Of a SavedModel ``"direct"``, ``"object"`` or ``"graph"``, of a Keras file ``"direct"``, ``"deferred"`` or
        ``"ordinary"``.
        """
        return self._live().route

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Inputs of the signature that answers calls."""
        return self._traces[0].inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Outputs of the signature that answers calls, in declared order."""
        return self._traces[0].outputs

    def get_inputs(self) -> list[TensorInfo]:
        """Return the inputs with ``name``, ``type`` and ``shape``, as `onnxruntime.InferenceSession` does."""
        return list(self.inputs)

    def get_outputs(self) -> list[TensorInfo]:
        """Return the outputs with ``name``, ``type`` and ``shape``, as `onnxruntime.InferenceSession` does."""
        return list(self.outputs)

    @property
    def structured_input_signature(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """TensorFlow types of positional and of keyword arguments, as a ConcreteFunction has them."""
        return structured_inputs(self.signature)

    @property
    def structured_outputs(self) -> Any:
        """TensorFlow types of what a call returns, nested in the same way."""
        return structured_outputs(self.signature)

    @property
    def signatures(self) -> tuple[SignatureInfo, ...]:
        """Everything that `with_signature` takes."""
        return self._live().signatures

    @property
    def model(self) -> Any:
        """The Keras model, or the object that TensorFlow loads; made when first asked for.

        The variables of a SavedModel are new objects then: ask before a `tf.GradientTape` records a call. Those of a
        graph of TensorFlow 1 are copies, which calls do not read.
        """
        return self._live().model

    @property
    def report(self) -> InspectionReport | None:
        """The `InspectionReport`; None for what somebody else loaded, and of a pickle before its first call."""
        return self._report

    @property
    def digest(self) -> str:
        """Content digest of what was judged; empty for an object that somebody else loaded."""
        return self._digest

    def with_signature(self, key: str) -> ModelCallable:
        """Return a callable for another signature, sharing the variables of this one.

        Any other node of a graph of TensorFlow 1 is named when it is loaded, by ``load_callable(path, signature=…)``.

        Raises:
            SignatureNotFoundError: ``signature-not-found``. There is none of that name.
        """
        recipe = self._recipe
        if recipe is not None:
            recipe = Recipe(recipe.loader, recipe.source, {**recipe.options, "signature": key}, recipe.digest)
        other = ModelCallable(self._live(), key, report=self._report, recipe=recipe, digest=self._digest)
        other._closed = self._closed
        return other

    def predict(self, x: Any, *, batch_size: int = 32, verbose: str | int = "auto") -> Any:
        """Run the model over many rows, *batch_size* at a time, and join the results.

        Args:
            x: The input, or a mapping of input names to values; the first axis of each counts rows. Or batches: a
                `tf.data.Dataset`, a `keras.utils.PyDataset` or an iterator, whose elements are passed on one by one; of
                a tuple, the first.
            batch_size: Rows per call. A signature with a fixed batch decides it itself, as do batches.
            verbose: 0 for no progress bar. By default one shows in a terminal or a notebook after a second.

        Returns:
            Numpy arrays, nested as a call nests them.

        Raises:
            InputMismatchError: ``input-mismatch``. Lengths differ, or an output has no axis of rows.
        """
        return predict(self, self.signature, x, batch_size=batch_size, verbose=verbose)

    def warmup(self) -> ModelCallable:
        """Call once with zeros, so that the first real call does not pay for tracing. Returns itself.

        A graph that refuses zeros, as one that looks for an end in them, is warm too.
        """
        if not self._takes_anything:
            with outside_graphs():
                self._call_with_zeros()
        return self

    def _call_with_zeros(self) -> None:
        backend = self._live()
        try:
            zeros = {info.name: example(info) for info in self.inputs if not info.optional}
            tensors, _ = to_tensors(self.inputs, with_defaults(self.signature, zeros))
            self._function(backend, 0, frozenset(tensors))(tensors)
        except tf.errors.OpError as error:
            LOG.info("%s: warm, and its graph refuses zeros: %s", self._where, error)
        except Exception as error:
            self._require_its_own(error)
            raise

    def _require_its_own(self, error: Exception) -> None:
        """Explain an error of Python in a call of a file's model; of an object of the caller's, it is the caller's."""
        if self._report is not None and not isinstance(error, SafeloadError):
            raise_interruption(error)
            raise LoadFailedError(self._where, problem=f"it cannot be called: {with_place(error)}") from error

    def close(self) -> None:
        """Release the model; calls afterwards are errors, also of what `with_signature` returned."""
        self._closed.set()
        if self._backend is not None:
            self._backend.close()
        self._backend = None
        self._functions.clear()
        self._fast.clear()

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.Signature(list(parameters(self._traces[0])))

    if not TYPE_CHECKING:  # type checkers take a class with this for one that has every attribute

        def __getattr__(self, name: str) -> Any:
            if hasattr(type(self), name):  # a property raised an AttributeError of its own, which says more
                return object.__getattribute__(self, name)
            raise AttributeError(missing_attribute(self, name), name=name, obj=self)

    def __repr__(self) -> str:
        return f"<ModelCallable {self._traces[0]} from {self._where!r}>"

    def _repr_html_(self) -> str:
        from safeload._report_html import callable_html

        return callable_html(self._key, self._where, self._traces[0], self._report)

    def __getstate__(self) -> dict[str, Any]:
        if self._recipe is None or self._closed.is_set():
            raise pickle.PicklingError(
                f"{self._where!r} was closed, or not loaded from a path by load_callable: it cannot be loaded elsewhere"
            )
        left_behind = dict.fromkeys(("_backend", "_lock", "_closed", "_report"))
        return {**self.__dict__, **left_behind, "_functions": {}, "_fast": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock, self._closed = threading.Lock(), threading.Event()


def _takes(trace: SignatureInfo, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    try:
        to_tensors(trace.inputs, with_defaults(trace, bind(trace, args, kwargs)))
    except (TypeError, ValueError, tf.errors.OpError):
        return False
    return True


def _single(outputs: Any) -> Any:
    return next(iter(outputs.values())) if isinstance(outputs, dict) and len(outputs) == 1 else outputs
