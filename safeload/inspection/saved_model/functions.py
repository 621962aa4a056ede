"""Traced functions that the root object of a SavedModel offers. Layer: inspection.

The object graph names, per function, its traces (ConcreteFunctions), the Python
parameters it had, and what each trace takes and returns.

Source: tensorflow/core/protobuf/saved_object_graph.proto and
tensorflow/python/saved_model/function_deserialization.py (TensorFlow 2.21).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from safeload.errors import MalformedArtifactError
from safeload.inspection._info import CallStructure, SignatureInfo, has_slot
from safeload.inspection.graph.entries import ADAPT, SIGNATURES_ATTRIBUTE
from safeload.inspection.saved_model.structures import Path, TreeReader, UnreadableError
from safeload.inspection.saved_model.wrapped import Wrapper

Arguments = tuple[tuple[str, Any], ...]
"""Parameter names and what was passed for them."""

_MAX_PARTS, _LONG_PATH = 10_000, 255
"""Objects that are looked at for functions, and how long their names and paths may be; paths repeat names."""

_KERAS = "_tf_keras_"
"""How identifiers of layers and models begin. Source: tf_keras/src/saving/legacy/saved_model/constants.py (2.21)."""
_MAX_TENSORS = 1_000_000
"""Inputs and outputs of all traces together; repeating a large trace many times must not cost time without end."""


class FunctionReader:
    """Reads the functions of one object graph.

    Args:
        object_graph: A `SavedObjectGraph`.
        where: How messages name it.

    Attributes:
        unread: Names of functions, of those returned so far, that have a trace that cannot be read.
    """

    def __init__(self, object_graph: Any, *, where: str) -> None:
        self._graph = object_graph
        self._where = where
        self._count = 0
        self.unread: set[str] = set()

    def functions(self, *, of_parts: bool = False) -> tuple[SignatureInfo, ...]:
        """Return one entry per trace of each function that is an attribute of the root and can be read whole.

        Of one that cannot, no trace is returned: which of them answers a call would be a guess.

        Args:
            of_parts: Take those of objects below a root that has none, too, as ``encoder.__call__``. Objects below one
                with functions are parts of that. What a part learned with is no entry of the graph, and left out.
        """
        found: list[SignatureInfo] = []
        pending, seen = [(0, "")], {0}
        for node_id, path in pending:
            functions = {name: node for name, node in self._children(node_id).items() if _is_function(node)}
            if path:
                functions.pop(ADAPT, None)
            for name, node in sorted(functions.items()):
                found.extend(self._read(f"{path}{name}", node))
            for name, part in self._parts(node_id) if of_parts and not functions else ():
                if part not in seen and len(pending) < _MAX_PARTS and len(path) < _LONG_PATH:
                    seen.add(part)
                    pending.append((part, f"{path}{name}."))
        return tuple(trace for trace in found if trace.key not in self.unread)

    def _parts(self, node_id: int) -> Iterator[tuple[str, int]]:
        """Yield the objects that are public attributes of an object, items of a list or values of a dict.

        Parts of a Keras model are none: a model without functions was not traced, and its layers are not the model.
        """
        nodes = self._graph.nodes
        if not nodes or nodes[node_id].user_object.identifier.startswith(_KERAS):
            return
        children = {child.local_name: child.node_id for child in nodes[node_id].children}  # the last of a name counts
        for name, child in sorted(children.items()):
            is_object = nodes[self._checked(child)].WhichOneof("kind") == "user_object"
            if is_object and not name.startswith("_") and "." not in name and len(name) < _LONG_PATH:
                yield name, child

    def _read(self, key: str, node: Any) -> Iterator[SignatureInfo]:
        if node.WhichOneof("kind") == "function":
            return self._traces(key, node.function)
        return self._bare(key, node.bare_concrete_function)

    def wrappers(self) -> dict[str, Wrapper]:
        """Return the function behind each key of the map ``signatures``, where its arguments are in the usual order."""
        for reference in self._graph.nodes[0].children if self._graph.nodes else ():
            if reference.local_name == SIGNATURES_ATTRIBUTE:
                nodes = self._children(reference.node_id).items()
                bare = {
                    k: n.bare_concrete_function for k, n in nodes if n.WhichOneof("kind") == "bare_concrete_function"
                }
                return {
                    key: Wrapper(function.concrete_function_name, tuple(function.argument_keywords))
                    for key, function in bare.items()
                    if self._is_in_order(function)
                }
        return {}

    def _is_in_order(self, function: Any) -> bool:
        """Tell whether *function* takes nothing but keywords, and lists them as TensorFlow passes them on: sorted.

        Source: ``unpack_inputs`` in tensorflow/core/function/polymorphism/function_type.py (TensorFlow 2.21).
        """
        name = function.concrete_function_name
        if name not in self._graph.concrete_functions:
            return False
        pair = self._graph.concrete_functions[name].canonicalized_input_signature.tuple_value.values
        if len(pair) != 2 or pair[0].tuple_value.values:
            return False
        return [argument_name(key) for key in function.argument_keywords] == sorted(pair[1].dict_value.fields)

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
        parameters = read_parameters(function.function_spec)
        for position, name in enumerate(function.concrete_functions):
            trace = self._trace(key, name, parameters, position)
            if trace is not None and trace.structure is not None:
                yield replace(trace, defaults=trace.structure.tensor_defaults())

    def _bare(self, key: str, function: Any) -> Iterator[SignatureInfo]:
        """Read a single ConcreteFunction: without a spec it is called by the names of its flat arguments."""
        has_spec = function.HasField("function_spec")
        keywords = Parameters(tuple(function.argument_keywords))
        parameters = read_parameters(function.function_spec) if has_spec else keywords
        trace = self._trace(key, function.concrete_function_name, parameters, 0)
        if trace is not None:
            yield _as_bare(trace, allowed=None if has_spec else function.allowed_positional_arguments)

    def _trace(self, key: str, name: str, parameters: Parameters, position: int) -> SignatureInfo | None:
        """Read one trace; None where that is not possible."""
        if name not in self._graph.concrete_functions:
            raise self._malformed(f"the object graph has no ConcreteFunction {name!r}")
        concrete = self._graph.concrete_functions[name]
        inputs, outputs = TreeReader(_input_name), TreeReader(_output_name)
        try:
            args, kwargs = _arguments(concrete.canonicalized_input_signature, parameters, inputs)
            result = outputs.read(concrete.output_signature, ()) if concrete.HasField("output_signature") else None
        except UnreadableError:
            self.unread.add(key)
            return None
        self._bound(len(inputs.tensors) + len(outputs.tensors))
        return SignatureInfo(
            key=key,
            kind="function",
            inputs=tuple(inputs.tensors),
            outputs=tuple(outputs.tensors),
            is_positional=True,
            structure=CallStructure(args, kwargs, result, position, parameters.defaults),
            function_name=name,
        )

    def _bound(self, count: int) -> None:
        self._count += count + 1
        if self._count > _MAX_TENSORS:
            raise self._malformed(f"the traces of its functions take more than {_MAX_TENSORS:,} tensors")

    def _malformed(self, problem: str) -> MalformedArtifactError:
        return MalformedArtifactError(self._where, problem=problem)


def _is_function(node: Any) -> bool:
    return node.WhichOneof("kind") in ("function", "bare_concrete_function")


def argument_name(key: str) -> str:
    """Return what TensorFlow calls the argument for the input *key*. Source: ``sanitize_arg_name``, same file."""
    name = "".join(character if character.isalnum() else "_" for character in key)
    return name if name[:1].isalpha() else f"arg_{name}"


def _as_bare(trace: SignatureInfo, *, allowed: int | None) -> SignatureInfo:
    """Describe a ConcreteFunction: its constants are fixed, so that a call may leave them out.

    Args:
        trace: The trace.
        allowed: How many arguments may take positions; None for all.
    """
    assert trace.structure is not None  # noqa: S101 - traces have a structure
    args, kwargs = trace.structure.args, trace.structure.kwargs
    structure = replace(
        trace.structure,
        args=args[:allowed],
        kwargs=kwargs if allowed is None else (*args[allowed:], *kwargs),
        defaults=tuple((name, tree) for name, tree in (*args, *kwargs) if not has_slot(tree)),
    )
    return replace(trace, structure=structure)


def _arguments(signature: Any, parameters: Parameters, reader: TreeReader) -> tuple[Arguments, Arguments]:
    """Decode a canonical signature, a pair of the positional arguments and the keyword arguments."""
    pair = signature.tuple_value.values
    if len(pair) != 2:
        raise UnreadableError("signature")
    names = parameters.names
    args = []
    for index, value in enumerate(pair[0].tuple_value.values):
        name = names[index] if index < len(names) else f"{parameters.varargs}_{index - len(names)}"
        args.append((name, reader.read(value, (name,))))
    fields = pair[1].dict_value.fields
    kwargs = tuple((name, reader.read(fields[name], (name,))) for name in sorted(fields))
    return tuple(args), kwargs


@dataclass(frozen=True)
class Parameters:
    """The Python parameters of a function.

    Attributes:
        names: Those that take positions, without ``self``.
        varargs: Name of ``*args``.
        defaults: Constants for those that may be left out, by name; defaults that cannot be read are missing.
    """

    names: tuple[str, ...]
    varargs: str = "args"
    defaults: Arguments = ()


def read_parameters(spec: Any) -> Parameters:
    """Decode a `FunctionSpec`, whose ``fullargspec`` is a named tuple as ``inspect.getfullargspec`` returns it."""
    pairs = {pair.key: pair.value for pair in spec.fullargspec.named_tuple_value.values}
    if "args" not in pairs:
        return Parameters(())
    names = tuple(value.string_value for value in pairs["args"].list_value.values)
    defaults = _by_name(names, pairs.get("defaults")) + _keyword_defaults(pairs.get("kwonlydefaults"))
    if names and (spec.is_method or names[0] == "self"):
        names = names[1:]
    varargs = pairs["varargs"].string_value if "varargs" in pairs else ""
    return Parameters(names, varargs or "args", defaults)


def _by_name(names: tuple[str, ...], defaults: Any) -> Arguments:
    """Pair the defaults of the last parameters with their names. Keras writes a list, TensorFlow a tuple."""
    values = (*defaults.tuple_value.values, *defaults.list_value.values) if defaults is not None else ()
    return _plain(zip(names[len(names) - len(values) :], values, strict=True)) if len(values) <= len(names) else ()


def _keyword_defaults(defaults: Any) -> Arguments:
    fields = defaults.dict_value.fields if defaults is not None else {}
    return _plain((name, fields[name]) for name in sorted(fields))


def _plain(values: Iterable[tuple[str, Any]]) -> Arguments:
    read: list[tuple[str, Any]] = []
    for name, value in values:
        with suppress(UnreadableError):
            read.append((name, TreeReader(_input_name).read_default(value)))
    return tuple(read)


def _input_name(path: Path) -> str:
    """Name a tensor by its parameter; one inside a container by the whole path."""
    return "/".join(map(str, path))


def _output_name(path: Path) -> str:
    """Name an output as TensorFlow names those of signatures: by key, or ``output_0`` by position."""
    first, *rest = path or (0,)
    return "/".join(map(str, (f"output_{first}" if isinstance(first, int) else first, *rest)))
