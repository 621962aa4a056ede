"""Traced functions that the root object of a SavedModel offers. Layer: inspection.

The object graph names, per function, its traces (ConcreteFunctions), the Python
parameters it had, and what each trace takes and returns.

Source: tensorflow/core/protobuf/saved_object_graph.proto and
tensorflow/python/saved_model/function_deserialization.py (TensorFlow 2.21).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from safeload.errors import MalformedArtifactError
from safeload.inspection._info import CallStructure, SignatureInfo
from safeload.inspection._structures import Path, TreeReader, UnreadableError

Arguments = tuple[tuple[str, Any], ...]
"""Parameter names and what was passed for them."""

SIGNATURES_ATTRIBUTE = "signatures"
"""Attribute of the root that maps keys of SignatureDefs to functions. Source: signature_serialization.py."""

_MAX_TENSORS = 1_000_000
"""Inputs and outputs of all traces together; repeating a large trace many times must not cost time without end."""


class FunctionReader:
    """Reads the functions of one object graph.

    Args:
        object_graph: A `SavedObjectGraph`.
        where: How messages name it.
    """

    def __init__(self, object_graph: Any, *, where: str) -> None:
        self._graph = object_graph
        self._where = where
        self._count = 0

    def functions(self) -> tuple[SignatureInfo, ...]:
        """Return one entry per trace of each function that is an attribute of the root."""
        found: list[SignatureInfo] = []
        for name, node in sorted(self._children(0).items()):
            kind = node.WhichOneof("kind")
            if kind == "function":
                found.extend(self._traces(name, node.function))
            elif kind == "bare_concrete_function":
                found.extend(self._bare(name, node.bare_concrete_function))
        return tuple(found)

    def signature_functions(self) -> dict[str, str]:
        """Return the ConcreteFunction behind each key of the map ``signatures``."""
        for reference in self._graph.nodes[0].children if self._graph.nodes else ():
            if reference.local_name == SIGNATURES_ATTRIBUTE:
                return {
                    key: node.bare_concrete_function.concrete_function_name
                    for key, node in self._children(reference.node_id).items()
                    if node.WhichOneof("kind") == "bare_concrete_function"
                }
        return {}

    def _children(self, node_id: int) -> dict[str, Any]:
        """Return the attributes of an object; TensorFlow sets them in order, so that the last of a name counts."""
        nodes = self._graph.nodes
        if not nodes:
            return {}
        references = nodes[self._checked(node_id)].children
        return {reference.local_name: nodes[self._checked(reference.node_id)] for reference in references}

    def _checked(self, node_id: int) -> int:
        if not 0 <= node_id < len(self._graph.nodes):
            raise self._malformed(f"the object graph refers to object {node_id:,} of {len(self._graph.nodes):,}")
        return node_id

    def _traces(self, key: str, function: Any) -> Iterator[SignatureInfo]:
        parameters = _parameters(function.function_spec)
        for position, name in enumerate(function.concrete_functions):
            trace = self._trace(key, name, parameters, position)
            if trace is not None:
                yield trace

    def _bare(self, key: str, function: Any) -> Iterator[SignatureInfo]:
        """Read a single ConcreteFunction: without a spec it is called by the names of its flat arguments."""
        keywords = tuple(function.argument_keywords)
        parameters = _parameters(function.function_spec) if function.HasField("function_spec") else None
        trace = self._trace(key, function.concrete_function_name, parameters or (keywords, None), 0)
        if trace is not None:
            allowed = None if parameters else function.allowed_positional_arguments
            yield trace if allowed is None else _with_positional(trace, allowed)

    def _trace(
        self, key: str, name: str, parameters: tuple[tuple[str, ...], str | None], position: int
    ) -> SignatureInfo | None:
        """Read one trace; None where a constant in it has no plain form, so that it cannot be called from outside."""
        if name not in self._graph.concrete_functions:
            raise self._malformed(f"the object graph has no ConcreteFunction {name!r}")
        concrete = self._graph.concrete_functions[name]
        inputs, outputs = TreeReader(_input_name), TreeReader(_output_name)
        try:
            args, kwargs = _arguments(concrete.canonicalized_input_signature, parameters, inputs)
            result = outputs.read(concrete.output_signature, ()) if concrete.HasField("output_signature") else None
        except UnreadableError:
            return None
        self._bound(len(inputs.tensors) + len(outputs.tensors))
        return SignatureInfo(
            key=key,
            kind="function",
            inputs=tuple(inputs.tensors),
            outputs=tuple(outputs.tensors),
            is_positional=True,
            structure=CallStructure(args, kwargs, result, position),
            function_name=name,
        )

    def _bound(self, count: int) -> None:
        self._count += count + 1
        if self._count > _MAX_TENSORS:
            raise self._malformed(f"the traces of its functions take more than {_MAX_TENSORS:,} tensors")

    def _malformed(self, problem: str) -> MalformedArtifactError:
        return MalformedArtifactError(self._where, problem=problem)


def _with_positional(trace: SignatureInfo, allowed: int) -> SignatureInfo:
    """Let only the first *allowed* arguments take positions."""
    assert trace.structure is not None, "traces have a structure"
    args = trace.structure.args
    structure = replace(trace.structure, args=args[:allowed], kwargs=(*args[allowed:], *trace.structure.kwargs))
    return replace(trace, structure=structure)


def _arguments(
    signature: Any, parameters: tuple[tuple[str, ...], str | None], reader: TreeReader
) -> tuple[Arguments, Arguments]:
    """Decode a canonical signature, a pair of the positional arguments and the keyword arguments."""
    pair = signature.tuple_value.values
    if len(pair) != 2:
        raise UnreadableError("signature")
    names, varargs = parameters
    args = []
    for index, value in enumerate(pair[0].tuple_value.values):
        name = names[index] if index < len(names) else f"{varargs or 'args'}_{index - len(names)}"
        args.append((name, reader.read(value, (name,))))
    fields = pair[1].dict_value.fields
    kwargs = tuple((name, reader.read(fields[name], (name,))) for name in sorted(fields))
    return tuple(args), kwargs


def _parameters(spec: Any) -> tuple[tuple[str, ...], str | None]:
    """Return the names of the positional parameters without ``self``, and the name of ``*args`` if there is one."""
    pairs = {pair.key: pair.value for pair in spec.fullargspec.named_tuple_value.values}
    if "args" not in pairs:
        return (), None
    names = tuple(value.string_value for value in pairs["args"].list_value.values)
    if names and (spec.is_method or names[0] == "self"):
        names = names[1:]
    return names, pairs["varargs"].string_value or None if "varargs" in pairs else None


def _input_name(path: Path, spec_name: str) -> str:
    """Name a tensor by its parameter; one inside a container by the whole path."""
    return "/".join(map(str, path))


def _output_name(path: Path, spec_name: str) -> str:
    """Name an output as TensorFlow names those of signatures: by key, or ``output_0`` by position."""
    first, *rest = path or (0,)
    return "/".join(map(str, (f"output_{first}" if isinstance(first, int) else first, *rest)))
