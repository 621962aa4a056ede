"""Make ``safeload/dialects/catalogue/*.json`` from the sources of real Keras releases.

Nothing is imported: every release is parsed. Each argument is ``flavour:version:directory`` where the directory holds
the unpacked wheel or source archive, as ``pip download --no-deps`` brings it (for ``tf.keras`` up to TensorFlow 2.5 the
wheel of TensorFlow itself). The order of the arguments is the order of the releases::

    python make_catalogue.py safeload/dialects/catalogue keras1:1.2.2:x/Keras-1.2.2 … keras3:3.15.1:x/keras-3.15.1
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

NAMESPACES = {
    "layers": "layer",
    "initializers": "initializer",
    "regularizers": "regularizer",
    "constraints": "constraint",
    "activations": "activation",
    "losses": "loss",
    "metrics": "metric",
    "optimizers": "optimizer",
    "optimizers.schedules": "schedule",
    "dtype_policies": "dtype policy",
    "quantizers": "quantizer",
    "random": "random",
    "ops": "op",
    "ops.numpy": "op",
    "ops.nn": "op",
    "ops.linalg": "op",
    "ops.image": "op",
}
ROOT_CLASSES = {
    "Sequential": "model",
    "Model": "model",
    "DTypePolicy": "dtype policy",
    "FloatDTypePolicy": "dtype policy",
    "Variable": "variable",
    "KerasTensor": "tensor",
    "Layer": "layer",
    "Initializer": "initializer",
    "Regularizer": "regularizer",
    "Loss": "loss",
    "Metric": "metric",
    "Optimizer": "optimizer",
    "Quantizer": "quantizer",
}
# Serving as plain helpers of their module, not part of a model.
NOT_MODELLING = {"serialize", "deserialize", "get"}
# Directories with classes of the same names that no model names.
SKIPPED = {
    "api",
    "lite",
    "legacy_tf_layers",
    "integration_test",
    "benchmarks",
    "testing_infra",
    "tests",
    "contrib",
    "examples",
    "legacy_cells.py",
}
# Objects that only training uses: their keys are not needed.
TRAINING_KINDS = {"loss", "metric", "optimizer", "schedule"}
REQUIRED = object()


@dataclass
class Definition:
    """A class or function of a source file."""

    name: str
    module: str
    node: ast.ClassDef | ast.FunctionDef
    bases: list[str] = field(default_factory=list)
    keys: dict[str, object] = field(default_factory=dict)
    own_config: tuple[set[str], set[str], set[str], str | None] | None = None


def default_of(node: ast.expr | None) -> object:
    """Return a JSON value that *node* denotes, or REQUIRED when it is absent or not a literal."""
    if node is None:
        return REQUIRED
    try:
        value = ast.literal_eval(node)
        json.dumps(value)
    except (ValueError, TypeError):
        return REQUIRED
    return value


def arguments_of(function: ast.FunctionDef) -> dict[str, object]:
    """Return the arguments of a constructor with their defaults."""
    args = function.args
    names = [a.arg for a in args.args][1:]
    defaults = [None] * (len(names) - len(args.defaults)) + list(args.defaults)
    found = {name: default_of(node) for name, node in zip(names, defaults[-len(names) :] if names else [])}
    found.update({a.arg: default_of(d) for a, d in zip(args.kwonlyargs, args.kw_defaults)})
    if args.kwarg:
        found["kwargs"] = REQUIRED
    return found


def popped_from_kwargs(function: ast.FunctionDef) -> dict[str, object]:
    """Return what a constructor takes from ``**kwargs`` by ``kwargs.pop("name", default)``."""
    found = {}
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in {"kwargs.pop", "kwargs.get"} and call.args:
            if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str):
                found[call.args[0].value] = default_of(call.args[1]) if len(call.args) > 1 else REQUIRED
    return found


def config_keys(function: ast.FunctionDef) -> tuple[set[str], set[str], set[str], str | None]:
    """Return the keys that a get_config always writes, sometimes writes, removes, and whose base's it extends.

    The last is ``""`` for its own class, the class in ``super(RNN, self)``, which skips RNN, or None.
    """
    always: set[str] = set()
    sometimes: set[str] = set()
    removed: set[str] = set()
    body = ast.unparse(ast.Module(function.body, []))
    named = re.search(r"super\((\w+), self\)\.get_config", body)
    extends = named[1] if named else "" if "get_config" in body else None

    def visit(node: ast.AST, certain: bool) -> None:
        target = always if certain else sometimes
        if isinstance(node, ast.Dict):
            target.update(k.value for k in node.keys if isinstance(k, ast.Constant) and isinstance(k.value, str))
            return
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "dict":
            target.update(k.arg for k in node.keywords if k.arg)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".pop") and node.args:
            if isinstance(node.args[0], ast.Constant):
                removed.add(node.args[0].value)
        if isinstance(node, ast.Delete):
            removed.update(
                t.slice.value
                for t in node.targets
                if isinstance(t, ast.Subscript) and isinstance(t.slice, ast.Constant)
            )
        if isinstance(node, ast.Assign):
            for t in node.targets:
                if (
                    isinstance(t, ast.Subscript)
                    and isinstance(t.slice, ast.Constant)
                    and isinstance(t.slice.value, str)
                ):
                    target.add(t.slice.value)
            if any(isinstance(t, ast.Subscript) for t in node.targets):
                return
        for child in ast.iter_child_nodes(node):
            visit(child, certain and not isinstance(node, (ast.If, ast.For, ast.IfExp, ast.Try)))

    for statement in function.body:
        visit(statement, True)
    return always, sometimes, removed, extends


class Release:
    """The parsed sources of one release."""

    def __init__(self, flavour: str, version: str, root: Path) -> None:
        self.flavour, self.version, self.root = flavour, version, root
        self.by_name: dict[str, list[Definition]] = defaultdict(list)
        for path in sorted(root.rglob("*.py")):
            if not SKIPPED.intersection(path.relative_to(root).parts) and "test" not in path.name:
                self._parse(path)

    def _parse(self, path: Path) -> None:
        try:
            tree = ast.parse(path.read_text(errors="replace"))
        except SyntaxError:
            return
        module = ".".join(path.relative_to(self.root).with_suffix("").parts)
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                self.by_name[node.name].append(self._class(node, module))
            elif isinstance(node, ast.FunctionDef):
                self.by_name[node.name].append(Definition(node.name, module, node))

    @staticmethod
    def _class(node: ast.ClassDef, module: str) -> Definition:
        found = Definition(node.name, module, node, [ast.unparse(b).rsplit(".", 1)[-1] for b in node.bases])
        for item in node.body:
            if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                found.keys = popped_from_kwargs(item) | arguments_of(item)
            elif isinstance(item, ast.FunctionDef) and item.name == "get_config":
                found.own_config = config_keys(item)
        return found

    def find(self, name: str, near: str) -> Definition | None:
        """Return the definition of *name* whose module is most like *near*."""
        return max(
            self.by_name.get(name, []), key=lambda d: _shared(d.module.split("."), near.split(".")), default=None
        )

    def lineage(self, start: Definition) -> list[Definition]:
        """Return *start* and the classes that it derives from, nearest first."""
        found, queue = [], [start]
        while queue:
            d = queue.pop(0)
            if d not in found:
                found.append(d)
                queue += [b for b in (self.find(n, d.module) for n in d.bases) if b is not None and b is not d]
        return found

    def accepted(self, start: Definition) -> dict[str, object]:
        """Return the constructor's keywords with defaults, with those of bases where ``**kwargs`` passes them on."""
        keys: dict[str, object] = {}
        for d in self.lineage(start):
            keys = d.keys | keys
            if d.keys and "kwargs" not in d.keys:
                break
        return {k: v for k, v in keys.items() if k not in {"self", "args", "kwargs"}}

    def recorded(self, start: Definition) -> tuple[set[str], set[str]]:
        """Return the keys that the class's config always has, and those that it may have."""
        always: set[str] = set()
        sometimes: set[str] = set()
        removed: set[str] = set()
        skipped_to = ""
        for d in self.lineage(start):
            is_skipped, skipped_to = bool(skipped_to), "" if d.name == skipped_to else skipped_to
            if is_skipped or d.own_config is None:
                continue
            own, maybe, gone, extends = d.own_config
            always |= own - removed
            sometimes |= maybe - removed
            removed |= gone
            if extends is None:
                break
            skipped_to = extends if extends != d.name else ""
        return always - sometimes, sometimes

    def is_layer(self, d: Definition) -> bool:
        """Tell whether a class derives from Layer."""
        return isinstance(d.node, ast.ClassDef) and any(
            c.name in {"Layer", "Container", "Network"} for c in self.lineage(d)[1:]
        )


def _shared(a: list[str], b: list[str]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def exported(release: Release, namespace: str) -> dict[str, str]:
    """Return the public names of a Keras 3 namespace with the modules that define them: ``name → module.Class``."""
    path = release.root / "keras" / namespace.replace(".", "/") / "__init__.py"
    if not path.exists():
        return {}
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("keras.src"):
            found.update({(a.asname or a.name): f"{node.module}.{a.name}" for a in node.names})
    return found


def keras3_objects(releases: list[Release]) -> dict[str, dict[str, dict]]:
    """Return kind → path → facts for what Keras 3 exports, and for the operations behind ``keras.ops``."""
    found: dict[str, dict[str, dict]] = defaultdict(dict)
    for index, release in enumerate(releases):
        names = [(ns, kind, exported(release, ns)) for ns, kind in NAMESPACES.items()]
        root = {k: v for k, v in exported(release, "").items() if k in ROOT_CLASSES}
        for ns, kind, symbols in names:
            for name, origin in symbols.items():
                if name not in NOT_MODELLING:
                    add_keras3(found[kind], release, index, f"keras.{ns}.{name}", origin)
        for name, origin in root.items():
            add_keras3(found[ROOT_CLASSES[name]], release, index, f"keras.{name}", origin)
        add_keras3(
            found["model"],
            release,
            index,
            "keras.src.models.functional.Functional",
            "keras.src.models.functional.Functional",
        )
        for d in [d for ds in release.by_name.values() for d in ds]:
            if d.module.startswith("keras.src.ops.") and any(c.name == "Operation" for c in release.lineage(d)[1:]):
                found["operation"][f"{d.module}.{d.name}"] = {"function": True}
    return found


def add_keras3(into: dict[str, dict], release: Release, index: int, path: str, origin: str) -> None:
    """Note that *release* has the object *path*, defined as *origin*."""
    module, _, name = origin.rpartition(".")
    d = release.find(name, module)
    if d is None:
        return
    if isinstance(d.node, ast.FunctionDef):
        into[path] = {"function": True}
        return
    entry = into.setdefault(path, {"since": index, "class": d.name, "keys": {}})
    entry["last"] = index
    keys = entry["keys"]
    for key, default in release.accepted(d).items():
        known = keys.setdefault(key, [index] if default is REQUIRED else [index, default])
        if default is not REQUIRED and len(known) > 1 and known[1] != default:
            print(
                f"default of {path}({key}) changed to {default!r} from {known[1]!r} in {release.version}",
                file=sys.stderr,
            )


LAYER_PLACES = ("layers", "engine", "premade", "models", "legacy_tf_layers", "mixed_precision")


def layers_of(release: Release) -> dict[str, tuple[set[str], set[str]]]:
    """Return the classes that a config of this release may name with their recorded and possible keys."""
    found = {}
    for definitions in release.by_name.values():
        for d in definitions:
            in_place = any(part in LAYER_PLACES for part in d.module.split("."))
            if in_place and not d.name.startswith("_") and release.is_layer(d):
                always, sometimes = release.recorded(d)
                found[d.name] = (always, sometimes | set(release.accepted(d)))
    return found


def era_layers(by_flavour: dict[str, list[Release]]) -> dict[str, dict[str, list]]:
    """Return class → flavour → [index of first release, of last release, recorded keys, other keys]."""
    found: dict[str, dict[str, list]] = defaultdict(dict)
    for flavour, releases in by_flavour.items():
        for index, release in enumerate(releases):
            for name, (always, possible) in layers_of(release).items():
                known = found[name].setdefault(flavour, [index, index, set(always), set()])
                known[1] = index
                known[3] |= possible | always | known[2]
                known[2] &= always
    return found


def by_module(kind: str, found: dict[str, dict]) -> dict[str, dict]:
    """Arrange the objects of a kind as module → functions, and classes as [first, last, real name, keys]."""
    arranged: dict[str, dict] = defaultdict(lambda: {"functions": [], "classes": {}})
    for path, entry in sorted(found.items()):
        module, _, name = path.rpartition(".")
        if entry.get("function"):
            arranged[module]["functions"].append(name)
        else:
            keys = {} if kind in TRAINING_KINDS else entry["keys"]
            arranged[module]["classes"][name] = [entry["since"], entry["last"], entry["class"], keys]
    return {m: {k: " ".join(v) if k == "functions" else v for k, v in e.items()} for m, e in arranged.items()}


def main(directory: str, arguments: list[str]) -> None:
    by_flavour: dict[str, list[Release]] = defaultdict(list)
    for argument in arguments:
        flavour, version, root = argument.split(":", 2)
        by_flavour[flavour].append(Release(flavour, version, Path(root)))
    layers = {
        name: {f: [a, b, " ".join(sorted(r)), " ".join(sorted(o - r))] for f, (a, b, r, o) in flavours.items()}
        for name, flavours in sorted(era_layers(by_flavour).items())
    }
    objects = {kind: by_module(kind, v) for kind, v in keras3_objects(by_flavour["keras3"]).items()}
    spelled = {
        kind: {module: [" ".join(sorted(entry["classes"])), entry["functions"]] for module, entry in modules.items()}
        for kind, modules in objects.items()
    }
    names = {
        "source": "tests/producers/make_catalogue.py over the releases below",
        "releases": {f: [r.version for r in rs] for f, rs in by_flavour.items()},
        "objects": spelled,
    }
    classes = {
        kind: {module: entry["classes"] for module, entry in modules.items() if entry["classes"]}
        for kind, modules in objects.items()
    }
    tables = {"names": names, "classes": {kind: found for kind, found in classes.items() if found}, "layers": layers}
    for name, table in tables.items():
        text = json.dumps(table, separators=(",", ":"), sort_keys=True)
        Path(directory, f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
