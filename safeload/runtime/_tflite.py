"""A judged TensorFlow Lite model as a backend of `ModelCallable`. Layer: runtime.

The interpreter computes outside of TensorFlow: calls have no gradient, and inside `tf.function` they are a call back
into Python, so such a function cannot be saved.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from safeload._explain import first_line
from safeload.errors import InputMismatchError, LoadFailedError, SignatureNotFoundError

if TYPE_CHECKING:
    from safeload.inspection import SignatureInfo, TensorInfo, TFLiteInfo
    from safeload.readers import TFLiteArtifact
    from safeload.readers.tflite.model import TFLiteSignature

_BROKEN = (RuntimeError, ValueError)
"""What the interpreter raises for models and inputs that do not fit it."""

_NO_DATA = "Invalid tensor size."
"""What it says where a tensor is to be read that has no elements. Source: interpreter_wrapper.cc (TensorFlow 2.21)."""

_QUANTIZED = frozenset({"int8", "uint8"})
"""Types of which kernels end the process over nothing. Seen of DEPTHWISE_CONV_2D (TensorFlow 2.21)."""

_OF_SEQUENCES = frozenset(
    {"BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "UNIDIRECTIONAL_SEQUENCE_LSTM",
     "UNIDIRECTIONAL_SEQUENCE_RNN"}
)  # fmt: skip
"""Ops that converters make of layers that begin each call anew, and that go on where the call before ended."""

_OF_STEPS = frozenset({"LSTM", "RNN", "SVDF"})
"""Ops that see one step in a call, and mean to remember it."""


class TFLiteRuntime:
    """Owns an interpreter; one call runs at a time.

    Args:
        artifact: What was judged; it owns the flatbuffer.
        info: Its facts.

    Raises:
        LoadFailedError: ``load-failed``. The interpreter refuses the model.
    """

    def __init__(self, artifact: TFLiteArtifact, info: TFLiteInfo) -> None:
        self.where = artifact.where
        self.route = ""
        self._artifact = artifact
        self._signatures = {signature.key: signature for signature in info.signatures}
        self._lock = threading.Lock()
        subgraphs = artifact.model.subgraphs
        made = (graph.tensors[index] for graph in subgraphs for _, outputs in graph.steps for index in outputs)
        self._forgets = not _OF_SEQUENCES.isdisjoint(info.ops) and _OF_STEPS.isdisjoint(info.ops)
        self._is_quantized = any(tensor.dtype in _QUANTIZED for tensor in made)
        try:
            self._interpreter: Any = _interpreter(artifact.content)
            self._interpreter.allocate_tensors()
            if self._forgets:
                self._allocate_variables()
        except _BROKEN as error:
            raise LoadFailedError(self.where, problem=f"TensorFlow Lite cannot load it: {first_line(error)}") from error

    @property
    def signatures(self) -> tuple[SignatureInfo, ...]:
        """Everything that can be asked for."""
        return tuple(self._signatures.values())

    @property
    def model(self) -> Any:
        """The `tf.lite.Interpreter`; not to be used while a call runs."""
        return self._interpreter

    def traces(self, key: str) -> tuple[SignatureInfo, ...]:
        """Return the signature *key*."""
        if key not in self._signatures:
            raise SignatureNotFoundError(key, available=[str(signature) for signature in self.signatures])
        return (self._signatures[key],)

    def function(self, signature: SignatureInfo, given: frozenset[str]) -> Callable[[Mapping[str, Any]], Any]:
        """Make the function that answers calls of *signature*; every input must be given."""
        del given
        names = [info.name for info in signature.inputs]
        run = self._runner(signature)

        def call(tensors: Mapping[str, Any]) -> dict[str, Any]:
            values = [tensors[name] for name in names]
            if tf.executing_eagerly():
                found: Sequence[Any] = [tf.constant(array) for array in run(*(value.numpy() for value in values))]
            else:
                found = _called_back(run, values, signature.outputs)
            return {info.name: tensor for info, tensor in zip(signature.outputs, found, strict=True)}

        return call

    def _runner(self, signature: SignatureInfo) -> Callable[..., list[Any]]:
        """Return the function on arrays; the interpreter is not safe for several threads."""
        run = self._run_by(self._interpreter, signature)

        def locked(*arrays: np.ndarray[Any, Any]) -> list[Any]:
            self._require_elements(signature, arrays)
            with self._lock:
                try:
                    if self._forgets:
                        self._interpreter.reset_all_variables()
                    return run(*arrays)
                except _BROKEN as error:
                    self._require_own_shapes(signature, error)
                    raise InputMismatchError(
                        f"TensorFlow Lite cannot run {signature.key!r} on these inputs: {first_line(error)}",
                        hint="the model may have been converted for one batch size; try that of its inputs",
                    ) from error

        return locked

    def _run_by(self, interpreter: Any, signature: SignatureInfo) -> Callable[..., list[Any]]:
        numbers = self._numbers(signature.key)
        if numbers is not None:
            return _by_numbers(interpreter, *numbers)
        declared = next(found for found in self._artifact.model.signatures if found.key == signature.key)
        return _by_key(interpreter, declared)

    def _numbers(self, key: str) -> tuple[Sequence[int], Sequence[int]] | None:
        """Return the tensors of a signature that the interpreter does not know, or not rightly, in order of names."""
        found = next((s for s in self._artifact.model.signatures if s.key == key), None)
        if found is None:
            main = self._artifact.model.subgraphs[0]
            return main.inputs, main.outputs
        inputs, outputs = ([number for _, number in sorted(side)] for side in (found.inputs, found.outputs))
        return (inputs, outputs) if found.is_moved else None

    def _allocate_variables(self) -> None:
        """Make room for the variables of all subgraphs: none can be reset before."""
        for index, graph in enumerate(self._artifact.model.subgraphs):
            if any(tensor.is_variable for tensor in graph.tensors):
                self._interpreter._interpreter.AllocateTensors(index)  # noqa: SLF001 - what is public does the first

    def _require_elements(self, signature: SignatureInfo, arrays: Sequence[np.ndarray[Any, Any]]) -> None:
        """Refuse to give nothing to kernels that divide by its size."""
        empty = [info.name for info, array in zip(signature.inputs, arrays, strict=True) if not array.size]
        if empty and self._is_quantized:
            raise InputMismatchError(
                f"input {empty[0]!r} has no elements, over which kernels of TensorFlow Lite end the process",
                hint="pass at least one row",
            )

    def _require_own_shapes(self, signature: SignatureInfo, error: Exception) -> None:
        """Tell a model that fails on any input from one that was given others than it takes.

        Raises:
            LoadFailedError: ``load-failed``. It fails alike on zeros of the shapes that the file says itself.
        """
        interpreter = _interpreter(self._artifact.content)
        interpreter.allocate_tensors()
        numbers = self._numbers(signature.key)
        if numbers is None:
            named = interpreter.get_signature_runner(signature.key).get_input_details()
            details = [named[info.name] for info in signature.inputs]
        else:
            numbered = {found["index"]: found for found in interpreter.get_input_details()}
            details = [numbered[number] for number in numbers[0]]
        try:
            self._run_by(interpreter, signature)(*(np.zeros(found["shape"], found["dtype"]) for found in details))
        except (*_BROKEN, MemoryError) as own:
            if first_line(own) == first_line(error):
                problem = f"TensorFlow Lite cannot run {signature.key!r}, whatever it is given: {first_line(error)}"
                raise LoadFailedError(self.where, problem=problem, hint="convert the model again") from error

    def close(self) -> None:
        """Forget the interpreter."""
        self._interpreter = None


def _interpreter(content: bytes) -> Any:
    """Make the interpreter without delegates: one of them runs any op of TensorFlow, others crash on broken models."""
    resolver = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow announces that the class moves to another package
        return tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=resolver)


def _by_key(interpreter: Any, signature: TFLiteSignature) -> Callable[..., list[Any]]:
    runner = interpreter.get_signature_runner(signature.key)
    names = [name for name, _ in sorted(signature.inputs)]

    def run(*arrays: np.ndarray[Any, Any]) -> list[Any]:
        try:
            outputs = runner(**dict(zip(names, arrays, strict=True)))
        except ValueError as error:
            if first_line(error) != _NO_DATA:
                raise
            details = runner.get_output_details()
            outputs = {name: _read(interpreter, details[name], signature.subgraph) for name in details}
        return [outputs[name] for name, _ in sorted(signature.outputs)]

    return run


def _by_numbers(interpreter: Any, inputs: Sequence[int], outputs: Sequence[int]) -> Callable[..., list[Any]]:
    """Return the function of the first subgraph on tensors that have no names of their own."""

    def run(*arrays: np.ndarray[Any, Any]) -> list[Any]:
        for index, array in zip(inputs, arrays, strict=True):
            interpreter.resize_tensor_input(index, array.shape)
        interpreter.allocate_tensors()
        for index, array in zip(inputs, arrays, strict=True):
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        details = {found["index"]: found for found in interpreter.get_output_details()}
        return [_read(interpreter, details[index], 0) for index in outputs]

    return run


def _read(interpreter: Any, details: Mapping[str, Any], subgraph: int) -> Any:
    """Return what a tensor holds; the interpreter gives none without elements whose shape the call decided."""
    try:
        return interpreter.get_tensor(details["index"], subgraph)
    except ValueError:
        if 0 not in details["shape"]:
            raise
        return np.zeros(details["shape"], details["dtype"])


def _called_back(run: Callable[..., list[Any]], values: list[Any], outputs: Sequence[TensorInfo]) -> list[Any]:
    found = tf.numpy_function(run, values, [tf.as_dtype(info.dtype) for info in outputs], stateful=False)
    tensors = found if isinstance(found, (list, tuple)) else [found]
    for tensor, info in zip(tensors, outputs, strict=True):
        tensor.set_shape(info.shape)
    return list(tensors)
