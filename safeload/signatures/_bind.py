"""From the arguments of a call to one value per input."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from safeload.errors import InputMismatchError
from safeload.inspection._info import CallStructure, Slot, has_slot
from safeload.signatures._choose import TRAINING_NAMES, is_training_switch
from safeload.signatures._constants import is_left_out, is_off, same_constant

if TYPE_CHECKING:
    from safeload.inspection._info import Composite, SignatureInfo, TensorInfo

_MAX_CALLS = 4
"""Calls that a hint shows, and constants."""

_OF_KERAS = frozenset({"training", "mask"})
"""Arguments that every Keras model takes besides its inputs. Source: ``Layer.__call__`` (Keras 3.15, tf_keras 2.21)."""

_OF_PREDICT = frozenset({"batch_size", "verbose"})
"""Options of ``predict``, which code that called it hands to the model itself."""


def bind(signature: SignatureInfo, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Bind the arguments of a call to the inputs of *signature*.

    One input goes by position. Several go by name, as keywords or as one mapping, and by position only where the
    saved Python order is known. Names are those of the signature, their aliases, and tensor names of the graph.

    Args:
        signature: What is called.
        args: Positional arguments.
        kwargs: Keyword arguments.

    Returns:
        Input name → the value as given, in the order of the signature. Optional inputs that were left out are absent.

    Raises:
        InputMismatchError: ``input-mismatch``. Names or structure do not fit.
    """
    kwargs = for_inference(signature, kwargs) if kwargs else kwargs
    args, kwargs = _in_parts(signature.whole, args, kwargs) if signature.whole else (args, kwargs)
    _require_parts(signature, (*args, *kwargs.values()))
    given = None
    if signature.structure is not None:
        given = _by_structure(signature, signature.structure, args, kwargs)
    if given is None:
        given = _by_name(signature, args, kwargs)
    required = _required(signature)
    if missing := [name for name in required if name not in given]:
        raise _mismatch(signature, f"missing {_names(missing)}")
    if empty := [name for name in required if given[name] is None]:
        raise _mismatch(signature, f"None is no value of {_names(empty)}")
    return {info.name: given[info.name] for info in signature.inputs if given.get(info.name) is not None}


def closest(
    traces: Sequence[SignatureInfo],
    refusals: Sequence[InputMismatchError],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> InputMismatchError:
    """Return what explains best why `bind` refuses a call for each of *traces*.

    Args:
        traces: Those of one function.
        refusals: The error of each.
        args: Positional arguments.
        kwargs: Keyword arguments.

    Returns:
        The error of the first trace that has the constants of the call. Where none has, one that lists those that were
        traced for an argument, and the calls that there are.
    """
    given = {**dict(zip(_trees(traces[0]), args, strict=False)), **kwargs}
    clashes = [[name for name in given if _is_other_constant(trace, name, given[name])] for trace in traces]
    if [] in clashes:
        return refusals[clashes.index([])]
    everywhere = [name for name in clashes[0] if all(name in found for found in clashes)]
    calls = list(dict.fromkeys(map(_example_call, traces)))
    more = f" or {len(calls) - _MAX_CALLS} other calls" if len(calls) > _MAX_CALLS else ""
    hint = f"call it as {' or '.join(calls[:_MAX_CALLS])}{more}"
    if not everywhere:
        names = _names(list(dict.fromkeys(name for found in clashes for name in found)))
        return InputMismatchError(f"{traces[0].key}: no trace has these values of {names} together", hint=hint)
    name = everywhere[0]
    constants = list(dict.fromkeys(repr(_trees(trace)[name]) for trace in traces))
    kind = "the constant" if len(constants) == 1 else "the constants"
    shown = [*constants[:_MAX_CALLS], *(["…"] if len(constants) > _MAX_CALLS else [])]
    traced = f"argument {name!r} was traced with {kind} {' and '.join(shown)} and cannot be another value"
    return InputMismatchError(f"{traces[0].key}: {traced}", hint=hint)


def _is_other_constant(signature: SignatureInfo, name: str, value: Any) -> bool:
    """Tell whether the argument *name* was traced without any tensor, and with something else than *value*."""
    trees = _trees(signature)
    if name not in trees or has_slot(trees[name]):
        return False
    try:
        return any(_flattened(signature, trees[name], value, name))
    except InputMismatchError:
        return True


def _trees(signature: SignatureInfo) -> dict[str, Any]:
    """Return what each Python parameter was traced with."""
    structure = signature.structure or CallStructure()
    return dict((*structure.args, *structure.kwargs))


def with_defaults(signature: SignatureInfo, bound: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `bind` returned, with the recorded defaults of inputs that were left out."""
    return {**_defaults(signature), **bound}


def _defaults(signature: SignatureInfo) -> dict[str, Any]:
    """Return the defaults without those of switches for training, which are off."""
    if not signature.defaults:
        return {}
    switches = {info.name for info in signature.inputs if is_training_switch(info)}
    return {name: value for name, value in signature.defaults if name not in switches}


def _require_parts(signature: SignatureInfo, values: Sequence[Any]) -> None:
    """Refuse a ragged or sparse tensor for a SignatureDef that takes what it consists of as inputs of their own."""
    takes_parts = signature.kind == "signature" and all(info.kind == "tensor" for info in signature.inputs)
    if takes_parts and len(values) < len(signature.inputs) and any(map(_has_parts, values)):
        raise InputMismatchError(
            f"{signature.key}: a ragged or sparse tensor, of which this signature takes the parts",
            hint=f"load with signature='__call__' if the object has one; else {_example_call(signature)}",
        )


def _in_parts(
    whole: Composite, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Take a ragged or sparse tensor apart that is passed by position, or under the name of its first part."""
    values = [*args, *kwargs.values()]
    if len(values) != 1 or not {*kwargs} <= {whole.parts[0]}:
        return args, kwargs
    value, parts = values[0], []
    if whole.kind == "ragged" and hasattr(value, "row_splits"):
        parts = [value.flat_values, *value.nested_row_splits]
    elif whole.kind == "sparse" and type(value).__name__ == "SparseTensor":  # IndexedSlices have the same parts
        parts = [value.indices, value.values, value.dense_shape]
    fits = len(parts) == len(whole.parts)
    return ((), dict(zip(whole.parts, parts, strict=True))) if fits else (args, kwargs)


def _has_parts(value: Any) -> bool:
    is_tensor = hasattr(value, "row_splits") or hasattr(value, "dense_shape")
    return is_tensor and not isinstance(value, (Mapping, tuple))


def for_inference(signature: SignatureInfo, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Drop ``training=False`` and ``mask=None``, which code around Keras models passes, where they are no inputs.

    Raises:
        InputMismatchError: ``input-mismatch``. Training is asked for.
    """
    if _OF_KERAS.isdisjoint(kwargs):
        return kwargs
    foreign = (_OF_KERAS & kwargs.keys()) - {*_lookup(signature), *_trees(signature)}
    training = kwargs["training"] if "training" in foreign else None
    if training is not None and not is_off(training):
        raise InputMismatchError(
            f"{signature.key}: training={training!r}, and a call is always inference",
            hint="train the loaded object itself, which is f.model",
        )
    idle = foreign if kwargs.get("mask") is None else foreign - {"mask"}
    return {name: value for name, value in kwargs.items() if name not in idle}


def _by_name(signature: SignatureInfo, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    inputs = signature.inputs
    if len(args) == 1 and isinstance(args[0], list):
        _refuse_rows(signature, args[0])
    if signature.is_positional and len(args) == 1 < len(inputs) and isinstance(args[0], (list, tuple)):
        args = args[0]
    if len(args) == 1 and _is_named(signature, args[0]):
        pairs = [*((str(name), args[0][name]) for name in args[0].keys()), *kwargs.items()]  # noqa: SIM118 - a table iterates over rows
    elif len(args) == 1 and len(required := _required(signature)) == 1:
        pairs = [(required[0], args[0]), *kwargs.items()]
    elif len(args) > len(inputs):
        raise _mismatch(signature, f"{len(args)} positional arguments for {_count(len(inputs))}")
    elif args and len(inputs) > 1 and not signature.is_positional:
        raise _mismatch(
            signature, f"{_count(len(inputs))} cannot be given by position: the file does not record their order"
        )
    else:
        pairs = [*((info.name, value) for info, value in zip(inputs, args, strict=False)), *kwargs.items()]
    return _resolved(signature, pairs)


def _refuse_rows(signature: SignatureInfo, rows: Sequence[Any]) -> None:
    """Refuse a list of dicts, as parsed JSON has it, before its items are taken for the values of the inputs."""
    if rows and all(isinstance(row, Mapping) for row in rows):
        raise InputMismatchError(
            f"{signature.key}: a list of dicts, one for each row",
            hint="pass one dict of columns: f({name: [row[name] for row in rows] for name in rows[0]})",
        )


def _is_named(signature: SignatureInfo, value: Any) -> bool:
    """Tell whether *value* maps input names to values: a mapping, or a table whose columns are the inputs.

    A table with further columns is one, too, if no single input can take it, so that these are what the error names.
    """
    if isinstance(value, Mapping):
        return True
    if not _has_keys(value):
        return False
    names = _lookup(signature)
    known = [str(key) in names for key in value.keys()]  # noqa: SIM118 - a table iterates over rows
    return all(known) or (any(known) and len(_required(signature)) > 1)


def _required(signature: SignatureInfo) -> list[str]:
    return [info.name for info in signature.inputs if not info.optional]


def _has_keys(value: Any) -> bool:
    return callable(getattr(value, "keys", None)) and hasattr(value, "__getitem__")


def _resolved(signature: SignatureInfo, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    names = _lookup(signature)
    given: dict[str, Any] = {}
    for key, value in pairs:
        if key not in names:
            raise _unknown_name(signature, key, [k for k, _ in pairs])
        if names[key] in given:
            raise _mismatch(signature, f"input {names[key]!r} is given twice")
        given[names[key]] = value
    return given


def _lookup(signature: SignatureInfo) -> dict[str, str]:
    """Return every accepted name → input name; own names win over aliases, and shared aliases name nothing."""
    candidates: dict[str, set[str]] = {}
    for info in signature.inputs:
        for alias in (*info.aliases, *_tensor_names(info)):
            candidates.setdefault(alias, set()).add(info.name)
    aliases = {alias: next(iter(names)) for alias, names in candidates.items() if len(names) == 1}
    return {**aliases, **{info.name: info.name for info in signature.inputs}}


def _tensor_names(info: TensorInfo) -> Iterator[str]:
    if info.tensor_name:
        yield info.tensor_name
        if info.tensor_name.endswith(":0"):
            yield info.tensor_name[: -len(":0")]


def _by_structure(
    signature: SignatureInfo, structure: CallStructure, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Bind to the Python parameters; None if the arguments are rather a mapping of input names."""
    parameters = dict(structure.args or (structure.kwargs if len(structure.kwargs) == 1 else ()))
    everything = {**parameters, **dict(structure.kwargs)}
    if _means_names(signature, structure, args, kwargs):
        _require_constants(signature, everything)
        return None
    args, kwargs = _by_parameter(structure, everything, args, kwargs)
    if len(args) > len(parameters):
        takes = _names(list(parameters)) or ("a function of keywords" if everything else "no parameters")
        raise _mismatch(signature, f"{len(args)} positional arguments for {takes}")
    given = dict(zip(parameters, args, strict=False))
    for name, value in kwargs.items():
        if name in given:
            raise _mismatch(signature, f"argument {name!r} is given twice")
        given[name] = value
    unknown = [name for name in given if name not in everything]
    if unknown:
        inputs = _lookup(signature)  # names of inputs are known, but go with others of the kind alone
        name = next((name for name in unknown if name not in inputs), unknown[0])
        free = [other for other in everything if other not in given]
        raise _mismatch(signature, f"there is no argument {name!r}{_meant(name, free)}")
    _require_constants(signature, {name: tree for name, tree in everything.items() if name not in given})
    leaves: dict[str, Any] = {}
    for name, value in given.items():
        leaves.update(_flattened(signature, everything[name], value, name))
    return leaves


def _by_parameter(
    structure: CallStructure, everything: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Take a dict of all that is passed for what is passed by keyword, and the items of a first dict for that dict."""
    tree = structure.args[0][1] if structure.args else None
    if len(args) == 1 and isinstance(args[0], Mapping) and args[0] and args[0].keys() <= everything.keys():
        is_first = isinstance(tree, dict) and args[0].keys() <= tree.keys()
        return (args, kwargs) if is_first or args[0].keys() & kwargs.keys() else ((), {**args[0], **kwargs})
    items = {name: value for name, value in kwargs.items() if name not in everything}
    if not args and items and isinstance(tree, dict) and items.keys() == tree.keys():
        return (items,), {name: value for name, value in kwargs.items() if name in everything}
    return args, kwargs


def _require_constants(signature: SignatureInfo, left_out: Mapping[str, Any]) -> None:
    """Refuse a trace for other constants than those that Python passes for the parameters that were left out."""
    structure = signature.structure or CallStructure()
    defaults = dict(structure.defaults)
    for name, tree in left_out.items():
        if has_slot(tree) or is_left_out(structure, name, tree):
            continue
        if name not in defaults:
            raise _mismatch(signature, f"missing argument {name!r}, traced with the constant {tree!r}")
        raise _mismatch(signature, f"argument {name!r} is {defaults[name]!r} by default, traced with {tree!r}")


def _means_names(
    signature: SignatureInfo, structure: CallStructure, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> bool:
    names = _lookup(signature)
    if not args:
        return bool(kwargs) and not kwargs.keys() <= _trees(signature).keys() and kwargs.keys() <= names.keys()
    if len(args) > 1 or not _is_named(signature, args[0]):
        return False
    if kwargs and {*args[0].keys()} <= _trees(signature).keys():
        return False
    tree = structure.args[0][1] if structure.args else None
    takes_dict = isinstance(tree, dict) and set(tree) == set(args[0].keys())
    return not takes_dict and all(key in names for key in args[0].keys())  # noqa: SIM118 - a table iterates over rows


def _flattened(signature: SignatureInfo, tree: Any, value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Yield (input name, value) for every tensor of *tree*."""
    if isinstance(tree, Slot):
        yield tree.name, value
    elif isinstance(tree, dict):
        if not _has_keys(value) or set(value.keys()) != set(tree):
            raise _mismatch(
                signature, f"argument {where!r} is {_kind(value)}, expected a dict with {_names(list(tree))}"
            )
        for key in tree:
            yield from _flattened(signature, tree[key], value[key], f"{where}.{key}")
    elif isinstance(tree, (list, tuple)):
        if not isinstance(value, (list, tuple)) or len(value) != len(tree):
            raise _mismatch(signature, f"argument {where!r} is {_kind(value)}, expected a sequence of {len(tree)}")
        for index, (branch, item) in enumerate(zip(tree, value, strict=True)):
            yield from _flattened(signature, branch, item, f"{where}[{index}]")
    elif not (same_constant(tree, value) or (where in TRAINING_NAMES and tree is False and is_off(value))):
        raise _mismatch(
            signature, f"argument {where!r} was traced with the constant {tree!r} and cannot be another value"
        )


def pack(tree: Any, values: Mapping[str, Any]) -> Any:
    """Return *tree* with the values in place of the slots; the inverse of what `bind` does to nested arguments.

    A slot without a value becomes None.
    """
    if isinstance(tree, Slot):
        return values.get(tree.name)
    if isinstance(tree, dict):
        return {key: pack(branch, values) for key, branch in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(pack(branch, values) for branch in tree))
    if isinstance(tree, (list, tuple)):
        return type(tree)(pack(branch, values) for branch in tree)
    return tree


def _unknown_name(signature: SignatureInfo, name: str, given: Sequence[str]) -> InputMismatchError:
    """Name the nearest of the inputs that were not given, or the only one."""
    names = _lookup(signature)
    used = {names[key] for key in given if key in names}
    free = [info.name for info in signature.inputs if info.name not in used]
    return _mismatch(signature, f"there is no input {name!r}{_meant(name, free)}")


def _meant(name: str, known: Sequence[str]) -> str:
    by_case = {other.casefold(): other for other in known}
    near = [by_case[key] for key in difflib.get_close_matches(name.casefold(), by_case, 1)]
    if not near and name in _OF_PREDICT:
        return f", which is an option of f.predict(x, {name}=…)"
    near = near or (list(known) if len(known) == 1 else [])
    return f"; did you mean {near[0]!r}?" if near else ""


def _mismatch(signature: SignatureInfo, problem: str) -> InputMismatchError:
    return InputMismatchError(f"{signature.key}: {problem}", hint=f"call it as {_example_call(signature)}")


def _example_call(signature: SignatureInfo) -> str:
    """Render the call that would be right, with dtype and shape of each input in place of a value."""
    structure = signature.structure
    if structure is not None:
        parts = [
            f"{name}={_example_tree(tree, signature)}"
            for name, tree in (*structure.args, *structure.kwargs)
            if has_slot(tree) or not is_left_out(structure, name, tree)
        ]
        return f"f({', '.join(parts)})"
    if len(signature.inputs) == 1:
        return f"f({_placeholder(signature.inputs[0])})"
    if all(info.name.isidentifier() for info in signature.inputs):
        return f"f({', '.join(f'{info.name}={_placeholder(info)}' for info in signature.inputs)})"
    return "f({" + ", ".join(f"{info.name!r}: {_placeholder(info)}" for info in signature.inputs) + "})"


def _placeholder(info: TensorInfo) -> str:
    return f"<{info.spec}>"


def _example_tree(tree: Any, signature: SignatureInfo) -> str:
    if isinstance(tree, Slot):
        return next((_placeholder(info) for info in signature.inputs if info.name == tree.name), "<…>")
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {_example_tree(branch, signature)}" for key, branch in tree.items()) + "}"
    if isinstance(tree, (list, tuple)):
        return "[" + ", ".join(_example_tree(branch, signature) for branch in tree) + "]"
    return repr(tree)


def _kind(value: Any) -> str:
    if _has_keys(value):
        kind = "dict" if isinstance(value, Mapping) else type(value).__name__
        return f"a {kind} with {_names([str(key) for key in value.keys()])}"  # noqa: SIM118 - a table iterates over rows
    if isinstance(value, (list, tuple)):
        return f"a sequence of {len(value)}"
    return f"of type {type(value).__name__}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _count(number: int) -> str:
    return "1 input" if number == 1 else f"{number} inputs"
