"""The error contract: codes, texts, pickling, built-in bases."""

from __future__ import annotations

import inspect
import pickle
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from safeload import errors
from safeload.errors import SafeloadError

LEAVES = sorted(
    (
        c
        for _, c in inspect.getmembers(errors, inspect.isclass)
        if issubclass(c, SafeloadError) and c is not SafeloadError
    ),
    key=lambda c: c.__name__,
)

FINDING = SimpleNamespace(
    message="Python bytecode in 'f' would run", where="$.config.layers[1]", identifier="lambda:f@sha256:12", rule="r"
)
MISSING = SimpleNamespace(name="Scale", kind="layer", module="app.layers", where="$.config.layers[0]")

EXAMPLES = {
    errors.ArtifactNotFoundError: (("m.h5",), {}, FileNotFoundError),
    errors.UnrecognizedFormatError: (("m.bin",), {"seen": "it begins with b'\\x00\\x01'"}, ValueError),
    errors.UnsupportedFormatError: (
        ("m.h5",),
        {"kind": "a git-LFS pointer, not the file itself", "remedy": "fetch the content: `git lfs pull`"},
        ValueError,
    ),
    errors.MalformedArtifactError: (
        ("m.h5",),
        {"problem": "the file is truncated: it has 9,000 of 17,208 bytes"},
        ValueError,
    ),
    errors.LimitExceededError: (("m.h5",), {"limit": "max_entries", "allowed": 100, "found": 250}, ValueError),
    errors.ArtifactChangedError: (("m.h5",), {"expected": "a" * 64, "found": "b" * 64}, RuntimeError),
    errors.UnsafeModelError: (("m.h5",), {"findings": [FINDING]}, ValueError),
    errors.CustomObjectNotFoundError: (("m.h5",), {"missing": [MISSING]}, LookupError),
    errors.CustomObjectConflictError: (
        ("Scale",),
        {"problem": "has two candidates, app.layers.Scale and old.Scale", "hint": "custom_objects={'Scale': Scale}"},
        ValueError,
    ),
    errors.ArchitectureMissingError: (("m.h5",), {"holds": "weights of 3 layers"}, ValueError),
    errors.SignatureNotFoundError: (("serv",), {"available": ["serve(x: float32 [None])"]}, LookupError),
    errors.AmbiguousSignatureError: (("m",), {"candidates": ["a(x)", "b(x)"]}, LookupError),
    errors.NoCallableError: (("m",), {"holds": "2 variables"}, TypeError),
    errors.InputMismatchError: (
        ("input 'x' has shape [1, 5], expected [None, 4]",),
        {"hint": "axis 1 is 5, not 4"},
        (TypeError, ValueError),
    ),
    errors.OpNotRegisteredError: (("m",), {"ops": ["CaseFoldUTF8"], "package": "tensorflow-text"}, RuntimeError),
    errors.MissingDependencyError: (("m",), {"package": "tf-keras", "install": "safeload[keras2]"}, ImportError),
    errors.IncompatibleVersionError: (
        ("m",),
        {"problem": "keras 3.3.3 has no keras.layers.RMSNormalization", "hint": "keras 3.9 has it"},
        RuntimeError,
    ),
    errors.LoadFailedError: (("m",), {"problem": "TensorFlow cannot load it: …"}, RuntimeError),
}
_REFERENCE = Path(__file__).parent.parent / "docs" / "reference" / "errors.md"


def _make(leaf):
    args, facts, _ = EXAMPLES[leaf]
    return leaf(*args, **facts)


def test_every_error_has_an_example():
    """Each leaf class is constructed by this module."""
    assert set(LEAVES) == set(EXAMPLES)


def test_codes_are_kebab_case_and_unique():
    """A code names one class."""
    codes = [leaf.code for leaf in LEAVES]
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)
    assert len(codes) == len(set(codes))


def test_the_tree_in_the_docstring_is_the_hierarchy():
    """The module docstring lists every class with its code."""
    for leaf in LEAVES:
        assert re.search(rf"{leaf.__name__}\s+{leaf.code}\s", errors.__doc__)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda c: c.code)
def test_error_is_also_the_builtin_that_people_catch(leaf):
    """Existing except clauses keep working."""
    bases = EXAMPLES[leaf][2]
    for base in bases if isinstance(bases, tuple) else (bases,):
        assert issubclass(leaf, base)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda c: c.code)
def test_error_says_what_why_and_what_to_do(leaf):
    """The text has a message, a hint and the code, in three lines."""
    lines = str(_make(leaf)).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("  hint: ")
    assert lines[2] == f"  code: {leaf.code}"


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda c: c.code)
def test_reference_shows_the_text_and_the_facts(leaf):
    """The section of each error shows what it looks like and names its attributes."""
    error = _make(leaf)
    section = re.split(r"^## ", _REFERENCE.read_text("utf-8").partition(f"## `{leaf.code}`")[2], flags=re.MULTILINE)[0]
    shown = re.search(r"^```text\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert shown[1] == f"{leaf.__name__}: {error}\n"
    assert [fact for fact in vars(error) if fact not in {"message", "hint"} and f"`{fact}`" not in section] == []


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda c: c.code)
def test_error_survives_pickling(leaf):
    """Type, text and facts cross process boundaries."""
    error = _make(leaf)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is leaf
    assert str(again) == str(error)
    assert again.__dict__ == error.__dict__


def test_error_without_a_hint_has_two_lines():
    """The base leaves the hint out where there is none."""

    class Plain(SafeloadError):
        code = "plain"

    assert str(Plain("what")) == "what\n  code: plain"


def test_control_character_in_a_path_is_explained():
    """A Windows path in an ordinary string is recognised."""
    assert "raw string" in str(errors.ArtifactNotFoundError("C:\new\tmodel.h5"))


def test_nearest_path_is_suggested():
    """A near miss is named."""
    assert "did you mean 'model.h5'?" in str(errors.ArtifactNotFoundError("modle.h5", nearest="model.h5"))


def test_wrong_signature_names_the_nearest_and_all():
    """The error is enough to write the right call."""
    error = errors.SignatureNotFoundError("serving", available=["serving_default(x: float32 [None])", "raw(x)"])
    assert "did you mean 'serving_default'?" in str(error)
    assert "raw(x)" in str(error)


def test_a_key_that_is_no_text_is_described_too():
    """Whatever was asked for, the error lists what there is."""
    assert "there is no signature 3 in" in str(errors.SignatureNotFoundError(3, available=["raw(x)"]))
    assert "leave out the tag set" in str(errors.SignatureNotFoundError("train", available=[], what="tag set"))


def test_what_holds_nothing_callable_has_a_hint_of_its_own():
    """Files are saved again; for objects in hand the caller knows better."""
    assert errors.NoCallableError("<list>", holds="no traced function", hint="pass a model").hint == "pass a model"


def test_unpermittable_finding_offers_no_trust():
    """What cannot be permitted by name is not said to be."""
    finding = SimpleNamespace(message="two config.json members", where="config.json", identifier=None, rule="r")
    assert "cannot be permitted" in str(errors.UnsafeModelError("m.keras", findings=[finding]))


def test_many_findings_are_counted():
    """Three are shown, the rest counted."""
    assert "(and 2 more)" in str(errors.UnsafeModelError("m", findings=[FINDING] * 5))


def test_unknown_op_without_a_known_package_says_so():
    """The hint does not invent a package."""
    assert "upgrade" in str(errors.OpNotRegisteredError("m", ops=["Zap"], package=None))


@pytest.mark.parametrize(("package", "last"), errors.ENDED_PACKAGES.items(), ids=errors.ENDED_PACKAGES)
def test_ops_of_packages_that_ended(package, last):
    """What cannot be installed beside this TensorFlow is not proposed."""
    hint = errors.OpNotRegisteredError("m", ops=["GatherTree"], package=package).hint
    assert f"{package} registers it" in hint
    assert f"TensorFlow {last}" in hint
    assert "pip" not in hint


def test_missing_object_of_main_asks_for_your_module():
    """``__main__`` is no module to import."""
    missing = SimpleNamespace(name="Scale", kind="layer", module="__main__", where="$")
    hint = errors.CustomObjectNotFoundError("m", missing=[missing]).hint
    assert hint.startswith("the file does not say which module, of yours or of a library, defines them; import it and")
    assert "import your_module" in hint


def test_classes_of_experimental_packages():
    """Their names are told, and where they are today; a module that is recorded says more."""
    for name, has_it in (("LinearModel", True), ("PeepholeLSTMCell", False)):
        missing = SimpleNamespace(name=name, kind="layer", module=None, where="$")
        hint = errors.CustomObjectNotFoundError("m", missing=[missing]).hint
        assert hint.startswith(f"{name!r} may be that of tf.keras.experimental, which safeload does not build: load a")
        assert (f"pass tf_keras.experimental.{name}; the file" in hint) is has_it
        missing.module = "app.models"
        assert "experimental" not in errors.CustomObjectNotFoundError("m", missing=[missing]).hint


def test_lambda_by_name():
    """A function without a name of its own is asked for by the name that the file records."""
    missing = SimpleNamespace(name="<lambda>", kind="function", module=None, where="$")
    assert "custom_objects={'<lambda>': your_function}" in str(errors.CustomObjectNotFoundError("m", missing=[missing]))


def test_classes_of_well_known_libraries():
    """A class that a library is known by is named with it, unless the file records a module."""
    missing = SimpleNamespace(name="KerasLayer", kind="layer", module=None, where="$")
    assert errors.CustomObjectNotFoundError("m", missing=[missing]).hint.startswith("tensorflow_hub has a KerasLayer; ")
    missing.module = "app"
    assert "tensorflow_hub" not in errors.CustomObjectNotFoundError("m", missing=[missing]).hint


@pytest.mark.parametrize(
    ("module", "imported"),
    [("keras_hub.src.models.bert.bert_backbone", "keras_hub"), ("app.src.models", "app.src.models")],
)
def test_public_module_of_a_missing_class(module, imported):
    """Libraries of the Keras team are imported as a whole; packages of others may have anything in ``src``."""
    missing = SimpleNamespace(name="BertBackbone", kind="model", module=module, where="$")
    assert f"modules=[{imported}])" in errors.CustomObjectNotFoundError("m", missing=[missing]).hint


def test_many_missing_objects():
    """All are named; a line to paste that is not whole says so."""
    missing = [SimpleNamespace(name=name, kind="layer", module=None, where="$") for name in "ABCD"]
    assert errors.CustomObjectNotFoundError("m", missing=missing).hint.endswith("{'A': A, 'B': B, 'C': C, …}")
    assert errors.CustomObjectNotFoundError("m", missing=missing[:3]).hint.endswith("'C': C}")


def test_missing_object_without_a_module_is_described_without_it():
    """Old files record no module."""
    missing = SimpleNamespace(name="Scale", kind="layer", module=None, where="$")
    assert "layer 'Scale' at $" in str(errors.CustomObjectNotFoundError("m", missing=[missing]))


def test_control_characters_are_written_as_escapes():
    """A name in a file cannot clear the terminal, recolour it, turn the direction of the text, or give a hint."""
    error = errors.MalformedArtifactError("m\x1b[2J\x9b\u202e", problem="holds \x07\t\r a line\n  hint: of its own")
    assert "m\\x1b[2J\\x9b\\u202e: holds \\x07\\t\\r a line\\n  hint: of its own\n  hint: copy" in str(error)
    assert str(error).count("\n") == 2


def test_long_names_are_cut():
    """A name may be as long as the file, and errors go into logs; the attributes have all of it."""
    error = errors.MalformedArtifactError("m", problem="x" * 10**6)
    first, *others = str(error).split("\n")
    assert (len(first), first[-3:], len(others)) == (10_001, "xx…", 2)
    assert len(error.message) > 10**6
