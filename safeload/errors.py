"""Every exception that safeload raises on purpose.

Call sites pass facts; each class writes its own sentences. Codes are a public
contract: never renamed, never reused. This module imports nothing of safeload.

    SafeloadError
    ├── ArtifactNotFoundError      artifact-not-found        FileNotFoundError
    ├── UnrecognizedFormatError    unrecognized-format       ValueError
    ├── UnsupportedFormatError     unsupported-format        ValueError
    ├── MalformedArtifactError     malformed-artifact        ValueError
    ├── LimitExceededError         limit-exceeded            ValueError
    ├── ArtifactChangedError       artifact-changed          RuntimeError
    ├── UnsafeModelError           unsafe-model              ValueError
    ├── CustomObjectNotFoundError  custom-object-not-found   LookupError
    ├── CustomObjectConflictError  custom-object-conflict    ValueError
    ├── ArchitectureMissingError   architecture-missing      ValueError
    ├── SignatureNotFoundError     signature-not-found       LookupError
    ├── AmbiguousSignatureError    ambiguous-signature       LookupError
    ├── NoCallableError            no-callable               TypeError
    ├── InputMismatchError         input-mismatch            TypeError, ValueError
    ├── OpNotRegisteredError       op-not-registered         RuntimeError
    ├── MissingDependencyError     missing-dependency        ImportError
    ├── IncompatibleVersionError   incompatible-version      RuntimeError
    └── LoadFailedError            load-failed               RuntimeError
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    class _FindingFacts(Protocol):
        """What a `safeload.Finding` tells of itself; this layer imports no other."""

        @property
        def rule(self) -> str: ...
        @property
        def where(self) -> str: ...
        @property
        def evidence(self) -> str: ...
        @property
        def message(self) -> str: ...
        @property
        def hint(self) -> str: ...
        @property
        def identifier(self) -> str | None: ...

    class _MissingFacts(Protocol):
        """What is known of a class or function that a model needs."""

        @property
        def name(self) -> str: ...
        @property
        def kind(self) -> str: ...
        @property
        def module(self) -> str | None: ...
        @property
        def where(self) -> str: ...


def printable(text: str) -> str:
    """Write as escapes what would steer a terminal or end a line: names come from files of strangers."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class SafeloadError(Exception):
    """Base of every error that safeload raises on purpose.

    Attributes:
        code: Stable kebab-case identifier of the kind of error.
        message: What is wrong, with the value, in one line.
        hint: What the reader can do now, or None.
    """

    code: ClassVar[str]

    ag_pass_through: ClassVar[bool] = True
    """Autograph raises this as it is, not as an error of its own. Source: `_attach_error_metadata` in
    tensorflow/python/autograph/impl/api.py (TensorFlow 2.21)."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        hint = [] if self.hint is None else [f"  hint: {self.hint}"]
        lines = (self.message, *hint, f"  code: {self.code}")
        return "\n".join(printable(line[:_LONGEST] + "…" * (len(line) > _LONGEST)) for line in lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[SafeloadError], args: tuple[object, ...], fields: dict[str, object]) -> SafeloadError:
    error = cls.__new__(cls, *args)
    # OSError fills ``args`` in its __init__ alone, which is not called here.
    BaseException.__init__(error, *args)
    error.__dict__.update(fields)
    return error


class ArtifactNotFoundError(SafeloadError, FileNotFoundError):
    """There is nothing at the path, or it is neither a regular file nor a directory."""

    code = "artifact-not-found"

    def __init__(self, path: str, *, problem: str = "does not exist", nearest: str | None = None) -> None:
        control = next((c for c in path if ord(c) < 32), None)
        hint = (
            f"did you mean {nearest!r}?" if nearest else "check the path; relative paths start at the working directory"
        )
        if control is not None:
            hint = f"the path holds the control character {control!r}; write it as a raw string: r'…'"
        super().__init__(f"{path!r} {problem}", hint=hint)
        self.path = path
        self.problem = problem


_LONGEST = 10_000  # characters of a line: a name may be as long as the file
_EXPECTED = "expected a Keras .h5 or .keras file or a SavedModel directory; check that the download is complete"


class UnrecognizedFormatError(SafeloadError, ValueError):
    """The bytes are of no format that safeload knows."""

    code = "unrecognized-format"

    def __init__(self, path: str, *, seen: str, hint: str = _EXPECTED) -> None:
        super().__init__(f"{path!r} is not a model in any known format: {seen}", hint=hint)
        self.path = path
        self.seen = seen


class UnsupportedFormatError(SafeloadError, ValueError):
    """The format is known, and safeload does not make callables from it."""

    code = "unsupported-format"

    def __init__(self, path: str, *, kind: str, remedy: str) -> None:
        super().__init__(f"{path!r} is {kind}", hint=remedy)
        self.path = path
        self.kind = kind


class MalformedArtifactError(SafeloadError, ValueError):
    """The format is recognised and the file is broken."""

    code = "malformed-artifact"

    def __init__(
        self, where: str, *, problem: str, hint: str = "copy or download the file again, or save the model again"
    ) -> None:
        super().__init__(f"{where}: {problem}", hint=hint)
        self.where = where
        self.problem = problem


class LimitExceededError(SafeloadError, ValueError):
    """Reading on would exceed one of the `Limits`."""

    code = "limit-exceeded"

    def __init__(self, where: str, *, limit: str, allowed: float, found: float) -> None:
        # Upper case: a bound of the implementation that no caller raises.
        raised = f"if you trust where this file comes from, pass limits=Limits({limit}=…)"
        fixed = "no model that was measured comes near this bound, which is fixed: ask the author for a smaller file"
        super().__init__(f"{where}: {found:,} exceeds {limit}={allowed:,}", hint=fixed if limit.isupper() else raised)
        self.where = where
        self.limit = limit
        self.allowed = allowed
        self.found = found


def require_within(where: str, *, limit: str, allowed: float, found: float) -> None:
    """Raise `LimitExceededError` if *found* is more than *allowed*."""
    if found > allowed:
        raise LimitExceededError(where, limit=limit, allowed=allowed, found=found)


class ArtifactChangedError(SafeloadError, RuntimeError):
    """The artifact is not the one that was judged, pickled or trusted before."""

    code = "artifact-changed"

    def __init__(self, path: str, *, expected: str, found: str | None = None) -> None:
        known = f"its content digest is {found[:16]}, expected {expected[:16]}" if found else "it is gone, or another"
        super().__init__(
            f"{path!r} changed: {known}",
            hint="load the model again with load_callable to inspect the new content",
        )
        self.path = path
        self.expected = expected
        self.found = found


class UnsafeModelError(SafeloadError, ValueError):
    """Loading or calling the model would do what was not trusted by name.

    Attributes:
        findings: Every finding that refuses the model, worst first.
    """

    code = "unsafe-model"

    def __init__(self, where: str, *, findings: Sequence[_FindingFacts]) -> None:
        shown = "; ".join(f"{f.message} at {f.where}" for f in findings[:3])
        more = f" (and {len(findings) - 3} more)" if len(findings) > 3 else ""
        identifiers = sorted({f.identifier for f in findings if f.identifier})
        if len(identifiers) == len({(f.identifier, f.where) for f in findings}) or all(f.identifier for f in findings):
            names = ", ".join(repr(i) for i in identifiers[:4]) + (", …" if len(identifiers) > 4 else "")
            hint = (
                "only if you trust the author to run code on this machine: "
                f"load_callable(path, trusted=[{names}]); error.findings has all"
            )
        else:
            hint = "this cannot be permitted by name; ask the author for a file without it"
        super().__init__(f"{where}: {shown}{more}", hint=hint)
        self.where = where
        self.findings: tuple[_FindingFacts, ...] = tuple(findings)


class CustomObjectNotFoundError(SafeloadError, LookupError):
    """The model needs classes or functions that nobody registered.

    Attributes:
        missing: Facts about each missing object (`name`, `kind`, `module`, `where`), in the order of the config.
    """

    code = "custom-object-not-found"

    def __init__(self, where: str, *, missing: Sequence[_MissingFacts], near: Mapping[str, str] | None = None) -> None:
        names = ", ".join(_described(m) for m in missing)
        recorded = (_public(m.module) for m in missing if m.module and not m.module.startswith("__"))
        modules = ", ".join(list(dict.fromkeys(recorded))[:3])
        unknown = "" if modules else "the file does not say which module, of yours or of a library, defines them; "
        modules = modules or "your_module"
        pairs = dict.fromkeys(f"{m.name!r}: {_bare(m.name)}" for m in missing)
        meant = "".join(f"{name!r} may be the registered {known!r}; " for name, known in (near or {}).items())
        meant += "" if missing[0].module else _known_class(missing[0].name)
        super().__init__(
            f"{where} needs your code: {names}",
            hint=f"{meant}{unknown}import it and pass it: `import {modules}` … load_callable(path, modules=[{modules}])"
            f" or custom_objects={{{', '.join(list(pairs)[:3])}{', …' if len(pairs) > 3 else ''}}}",
        )
        self.where = where
        self.missing: tuple[_MissingFacts, ...] = tuple(missing)


_SAVED_MODEL = "may be that of tf.keras.experimental, which safeload does not build: load a SavedModel of it"
EXPERIMENTAL_CLASSES = {
    **{
        name: f"{name!r} {_SAVED_MODEL}, or pass tf_keras.experimental.{name}; "
        for name in ("LinearModel", "WideDeepModel")
    },
    "PeepholeLSTMCell": f"'PeepholeLSTMCell' {_SAVED_MODEL}; ",
}
"""Classes that only ``tf.keras.experimental`` had, and what to say of them; ``tf_keras/experimental`` of 2.21 has two.

Source: tensorflow/python/keras/premade and ``keras_export`` of PeepholeLSTMCell in layers/recurrent.py (1.15.5, 2.1.4),
keras/premade_models/linear.py (2.10.0).
"""


_LIBRARY_CLASSES = {
    "KerasLayer": "tensorflow_hub",
    **dict.fromkeys(
        ("ClusterWeights", "PruneLowMagnitude", "QuantizeLayer", "QuantizeWrapper", "QuantizeWrapperV2"),
        "tensorflow_model_optimization",
    ),
    **dict.fromkeys(("InstanceNormalization", "WeightNormalization"), "tensorflow_addons.layers"),
}
"""Classes by which libraries are known, of which files record the name alone.

Source: tensorflow_hub 0.16, tensorflow_model_optimization 0.8 and tensorflow_addons 0.23.
"""


def _known_class(name: str) -> str:
    library = _LIBRARY_CLASSES.get(name)
    return f"{library} has a {name}; " if library else EXPERIMENTAL_CLASSES.get(name, "")


def _public(module: str) -> str:
    """Return what to import for *module*: libraries of the Keras team (KerasHub, KerasCV) keep theirs in ``src``."""
    return module.partition(".src.")[0] if module.startswith("keras_") else module


def _bare(name: str) -> str:
    """Return *name* without the package under which it was registered; a lambda has none of its own."""
    return name.rpartition(">")[2] or "your_function"


def _described(missing: _MissingFacts) -> str:
    module = f" (was in {missing.module})" if missing.module else ""
    return f"{missing.kind} {missing.name!r}{module} at {missing.where}"


class CustomObjectConflictError(SafeloadError, ValueError):
    """A name has several candidates, or the given object cannot stand for it."""

    code = "custom-object-conflict"

    def __init__(self, name: str, *, problem: str, hint: str) -> None:
        super().__init__(f"custom object {name!r}: {problem}", hint=hint)
        self.name = name
        self.problem = problem


class ArchitectureMissingError(SafeloadError, ValueError):
    """The file holds weights alone."""

    code = "architecture-missing"

    def __init__(self, path: str, *, holds: str, instead: str = "") -> None:
        hint = "pass architecture= the model's JSON file (model.to_json()) or a function that builds the model"
        super().__init__(
            f"{path!r} holds {holds} and no architecture",
            hint=f"{instead}{hint}",
        )
        self.path = path
        self.holds = holds


class SignatureNotFoundError(SafeloadError, LookupError):
    """The requested signature, tag set or version is not in the model."""

    code = "signature-not-found"

    def __init__(self, key: str, *, available: Sequence[str], what: str = "signature") -> None:
        near = difflib.get_close_matches(str(key), [a.partition("(")[0] for a in available], 1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        super().__init__(
            f"there is no {what} {key!r} in this model",
            hint=f"{meant}available: {'; '.join(available)}" if available else f"it has none: leave out the {what}",
        )
        self.key = key
        self.available: tuple[str, ...] = tuple(available)


class AmbiguousSignatureError(SafeloadError, LookupError):
    """Several functions could answer a call and the saver declared none as the default."""

    code = "ambiguous-signature"

    def __init__(self, where: str, *, candidates: Sequence[str], option: str = "signature") -> None:
        first = candidates[0].partition("(")[0]
        count = "several candidates" if len(candidates) > 1 else "one candidate"
        super().__init__(
            f"{where} has {count} and no default: {'; '.join(candidates)}",
            hint=f"choose one: {option}={first!r}",
        )
        self.where = where
        self.candidates: tuple[str, ...] = tuple(candidates)


class NoCallableError(SafeloadError, TypeError):
    """The model holds nothing that can be called."""

    code = "no-callable"

    def __init__(self, where: str, *, holds: str, hint: str | None = None) -> None:
        again = (
            "save it again with a signature: "
            "tf.saved_model.save(obj, path, signatures=tf.function(obj.fn).get_concrete_function(tf.TensorSpec(…)))"
        )
        super().__init__(f"{where} holds {holds} and nothing that can be called", hint=hint or again)
        self.where = where
        self.holds = holds


class InputMismatchError(SafeloadError, TypeError, ValueError):
    """The arguments of a call do not fit the signature."""

    code = "input-mismatch"

    def __init__(self, problem: str, *, hint: str) -> None:
        super().__init__(problem, hint=hint)
        self.problem = problem


ENDED_PACKAGES = {"tf.contrib": "1.15", "tensorflow-addons": "2.15"}
"""The last TensorFlow of packages that register ops and have no release for those that safeload runs on."""


class OpNotRegisteredError(SafeloadError, RuntimeError):
    """The graph uses ops that the installed TensorFlow does not have."""

    code = "op-not-registered"

    def __init__(self, where: str, *, ops: Sequence[str], package: str | None) -> None:
        if package in ENDED_PACKAGES:
            last = f"TensorFlow {ENDED_PACKAGES[package]}"
            hint = f"{package} registers it, which ended with {last}: export the model without the op, or call it there"
        elif package:
            hint = f"pip install {package} and import it before loading: it registers the op"
        else:
            hint = (
                "the op is of another package or a newer TensorFlow; import the package that registers it, or upgrade"
            )
        super().__init__(f"{where} needs ops that TensorFlow does not have here: {', '.join(ops)}", hint=hint)
        self.where = where
        self.ops: tuple[str, ...] = tuple(ops)
        self.package = package


class MissingDependencyError(SafeloadError, ImportError):
    """Loading this artifact needs a package that is not installed."""

    code = "missing-dependency"

    def __init__(self, what: str, *, package: str, install: str) -> None:
        super().__init__(f"{what} needs {package}, which is not installed", hint=f"pip install {install!r}")
        self.what = what
        self.package = package


class IncompatibleVersionError(SafeloadError, RuntimeError):
    """The artifact uses what the installed release, or safeload's tables, do not know.

    Raised where loading would mean guessing.
    """

    code = "incompatible-version"

    def __init__(self, where: str, *, problem: str, hint: str) -> None:
        super().__init__(f"{where}: {problem}", hint=hint)
        self.where = where
        self.problem = problem


_CAUSE = (
    "error.__cause__ is the exception of TensorFlow or Keras, and safeload.explain(error) knows the common ones; "
    "`safeload show PATH` says which release wrote the file"
)


class LoadFailedError(SafeloadError, RuntimeError):
    """TensorFlow or Keras failed; the original exception is ``__cause__``."""

    code = "load-failed"

    def __init__(self, where: str, *, problem: str, hint: str | None = None) -> None:
        super().__init__(f"{where}: {problem}", hint=hint or _CAUSE)
        self.where = where
        self.problem = problem
