"""What a SignatureDef wraps: the Python order and the nesting of its inputs. Layer: inspection.

A SignatureDef knows its inputs by name, sorted by the alphabet. The function behind it passes them on to the function
that was exported; in which order and nesting that one takes them, the object graph records.

Source: ``canonicalize_signatures`` and ``_generate_signature_wrapper`` in
tensorflow/python/saved_model/signature_serialization.py (TensorFlow 2.21).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from safeload.inspection._info import CallStructure, Composite, SignatureInfo, Slot, has_slot
from safeload.inspection.graph.bodies import Body

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_NUMBER = re.compile(r"_[0-9]+$")
_ARGUMENT = "inputs"
"""What Keras calls the one argument of a model."""


class Wrapper(NamedTuple):
    """The function behind a SignatureDef.

    Attributes:
        name: Of the function in the library.
        keywords: Names of the inputs, in the order of its arguments.
    """

    name: str
    keywords: tuple[str, ...]


def in_python_order(
    signature: SignatureInfo, wrapper: Wrapper, bodies: Mapping[str, Body], traces: Iterable[SignatureInfo]
) -> SignatureInfo:
    """Return *signature* as the function takes it that it wraps.

    Args:
        signature: A SignatureDef.
        wrapper: The function behind it.
        bodies: The functions of the library by name.
        traces: Traces of the functions of the root object.

    Returns:
        The signature with its inputs in Python order where they are separate arguments or one list, with a structure
        where they are nested otherwise, with its parts where they are those of one tensor; unchanged where that is not
        recorded.
    """
    body = bodies[wrapper.name].proto if wrapper.name in bodies else None
    calls = [node for node in body.node_def if node.op in _CALLS] if body is not None else []
    if len(calls) != 1:
        return signature
    wrapped = bodies.get(calls[0].attr["f"].func.name)
    found = [
        _as_wrapped(signature, _sources(wrapper, body, calls[0]), trace)
        for trace in traces
        if _is_trace_of(wrapped, bodies.get(trace.function_name or ""))
    ]
    return found[0] if found and all(other == found[0] for other in found) else signature


def _is_trace_of(function: Body | None, trace: Body | None) -> bool:
    """Tell whether two functions are of one Python function with the same tensors.

    What was exported may be traced anew for the object graph, under a name with another number.
    """
    if function is None or trace is None:
        return False
    ours, theirs = function.proto.signature, trace.proto.signature
    return bool(
        _NUMBER.sub("", ours.name) == _NUMBER.sub("", theirs.name)
        and [(arg.name, arg.type) for arg in ours.input_arg] == [(arg.name, arg.type) for arg in theirs.input_arg]
    )


def _as_wrapped(signature: SignatureInfo, sources: list[str], trace: SignatureInfo) -> SignatureInfo:
    """Give *signature* the arguments of *trace*, which is given its inputs *sources*."""
    assert trace.structure is not None  # noqa: S101 - traces have a structure
    if composites := _composites(signature, sources, trace):
        return replace(signature, composites=composites)
    names = _passed(signature, sources, trace)
    if not names or any(has_slot(tree) for _, tree in trace.structure.kwargs):
        return signature
    renamed = dict(zip((info.name for info in trace.inputs), names, strict=True))
    args = [(name, _renamed(tree, renamed)) for name, tree in trace.structure.args]
    while not has_slot(args[-1][1]):
        args.pop()
    known = {info.name for info in signature.inputs if info.optional}  # the SignatureDef has defaults of its own
    defaults = tuple((renamed[name], value) for name, value in trace.defaults if renamed[name] not in known)
    return replace(_flat(signature, [tree for _, tree in args]) or _nested(signature, args), defaults=defaults)


def _sources(wrapper: Wrapper, body: Any, call: Any) -> list[str]:
    """Return which input each argument of *call* is; an empty name for what is none."""
    arguments = (argument.name for argument in body.signature.input_arg)
    keywords = dict(zip(arguments, wrapper.keywords, strict=False))
    return [keywords.get(source, "") for source in call.input]


def _composites(signature: SignatureInfo, sources: list[str], trace: SignatureInfo) -> tuple[Composite, ...]:
    """Return the ragged and sparse tensors of *trace* that *signature* takes in parts, if it takes all that it takes.

    Source: ``_to_components`` of RaggedTensorSpec (2.1 to 2.21) and SparseTensorSpec (2.21): values and row splits;
    indices, values and shape.
    """
    rest = iter(sources)
    found = []
    for info in trace.inputs:
        widths = {"tensor": 1, "ragged": 1 + (info.ragged_rank or 1), "sparse": 3}
        found.append(Composite(info.kind, tuple(islice(rest, widths.get(info.kind, 0)))))
    names = sorted(name for composite in found for name in composite.parts)
    is_all = names == sorted(info.name for info in signature.inputs)
    return tuple(composite for composite in found if is_all and composite.kind != "tensor")


def _passed(signature: SignatureInfo, sources: list[str], trace: SignatureInfo) -> list[str]:
    """Return which input of *signature* each input of *trace* is; empty unless they are the same tensors."""
    names = sources[: len(trace.inputs)]
    inputs = {info.name: info for info in signature.inputs}
    if sorted(names) != sorted(inputs):
        return []
    pairs = zip(names, trace.inputs, strict=True)
    return names if all((info.kind, info.dtype) == ("tensor", inputs[name].dtype) for name, info in pairs) else []


def _flat(signature: SignatureInfo, trees: list[Any]) -> SignatureInfo | None:
    """Put the inputs into the order of arguments that are one tensor each, or of one list; None for other nestings."""
    if len(trees) == 1 and isinstance(trees[0], (list, tuple)):
        trees = list(trees[0])
    if not all(isinstance(tree, Slot) for tree in trees):
        return None
    if len(trees) == 1:
        return signature
    inputs = {info.name: info for info in signature.inputs}
    return replace(signature, inputs=tuple(inputs[tree.name] for tree in trees), is_positional=True)


def _nested(signature: SignatureInfo, args: list[tuple[str, Any]]) -> SignatureInfo:
    """Give the signature its nesting, unless that says nothing new, or a name would mean an argument and an input."""
    names = {info.name for info in signature.inputs}
    if len(args) == 1:
        args = [(_ARGUMENT, args[0][1])]
    is_ambiguous = any(name in names and tree != Slot(name) for name, tree in args)
    if (is_ambiguous and (len(args) > 1 or len(names) == 1)) or args[0][1] == {name: Slot(name) for name in names}:
        return signature
    constants = tuple((name, tree) for name, tree in args if not has_slot(tree))
    return replace(signature, is_positional=True, structure=CallStructure(tuple(args), defaults=constants))


def _renamed(tree: Any, names: Mapping[str, str]) -> Any:
    if isinstance(tree, Slot):
        return Slot(names[tree.name])
    if isinstance(tree, dict):
        return {key: _renamed(branch, names) for key, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        items = [_renamed(branch, names) for branch in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return tree
