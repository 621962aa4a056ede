"""What type checkers see of everything public. Read by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

import safeload
from safeload import (
    Finding,
    Format,
    InspectionReport,
    Limits,
    ModelCallable,
    SafeloadError,
    as_callable,
    custom_objects_for,
    errors,
    explain,
    inspect_model,
    load_callable,
    register,
    register_module,
    save_callable,
    wrap_loader,
)
from safeload.inspection import SignatureInfo, TensorInfo


class Custom:
    """A class of a user."""


def loader(path: str) -> Any:
    """A loader of a user."""
    return path


predict = load_callable("m.keras", signature="serve", custom_objects=[Custom], modules=["mine"], limits=Limits())
assert_type(predict, ModelCallable)
assert_type(load_callable(Path("m")), ModelCallable)
assert_type(load_callable(b"bytes"), ModelCallable)
assert_type(as_callable(object()), ModelCallable)
assert_type(wrap_loader(loader)("m"), ModelCallable)
assert_type(wrap_loader(loader)(path="m"), ModelCallable)
assert_type(predict.inputs, tuple[TensorInfo, ...])
assert_type(predict.outputs[0].name, str)
assert_type(predict.outputs[0].shape, tuple[int | None, ...] | None)
assert_type(predict.get_inputs(), list[TensorInfo])
assert_type(predict.signatures, tuple[SignatureInfo, ...])
assert_type(predict.with_signature("other"), ModelCallable)
assert_type(predict.warmup(), ModelCallable)
assert_type(predict.digest, str)
assert_type(predict.route, str)
assert_type(predict.key, str)
assert_type(predict.signature, SignatureInfo)
assert_type(predict.get_outputs()[0].type, str)
assert_type(predict.report, InspectionReport | None)

report = inspect_model("m.keras", limits=Limits(max_entries=10))
assert_type(report, InspectionReport)
assert_type(report.findings, tuple[Finding, ...])
assert_type(report.format, Format)

assert_type(custom_objects_for("m.keras"), dict[str, object])
assert_type(save_callable(predict, "m"), Path)
assert_type(explain(ValueError()), str)
assert_type(register(Custom), type[Custom])
renamed: Callable[[str], Any] = register(loader, name="old")
assert_type(safeload.errors.InputMismatchError("p", hint="h").code, str)
register_module("mine", submodules=True)


@register
class Decorated:
    """Keeps its type."""


assert_type(Decorated(), Decorated)


@wrap_loader
def decorated(path: str, *, number: int = 0) -> object:
    """A loader keeps its parameters."""
    return path, number


assert_type(decorated("m", number=1), ModelCallable)


def refused(error: errors.UnsafeModelError) -> ModelCallable:
    """What ``trusted=`` takes: the identifiers as they are, None among them."""
    assert_type(error.findings[0].message, str)
    return load_callable("m", trusted=[finding.identifier for finding in error.findings])


def unresolved(error: errors.CustomObjectNotFoundError) -> str:
    """What a user has to give."""
    assert_type(error.missing[0].module, str | None)
    return error.missing[0].name


def undecided(error: errors.AmbiguousSignatureError | errors.SignatureNotFoundError) -> tuple[str, ...]:
    """What there is to choose from."""
    return error.candidates if isinstance(error, errors.AmbiguousSignatureError) else error.available


def handled(error: SafeloadError) -> None:
    """What every error has."""
    assert_type(error.hint, str | None)
    assert_type(error.message, str)
