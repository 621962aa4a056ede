"""Custom objects are found by name in what the caller declared, and nowhere else."""

from __future__ import annotations

import sys
import types
from dataclasses import replace

import pytest

from safeload.errors import CustomObjectConflictError, CustomObjectNotFoundError
from safeload.formats import Format
from safeload.inspection import KerasInfo, LayerInfo, ModelInfo, ObjectInfo, ProducerInfo, SignatureInfo
from safeload.registry import Registry, register, register_module
from safeload.registry import _registry as registry


@pytest.fixture(autouse=True)
def _no_keras(fresh_registry, monkeypatch):
    """Nothing is registered, and no Keras is imported."""
    for package in ("keras", "tf_keras"):
        monkeypatch.delitem(sys.modules, package, raising=False)


def layer(name="Scale", **fields):
    return ObjectInfo(
        "$.config.layers[1]", name, "layer", fields.pop("module", None), fields.pop("registered_name", None), **fields
    )


def model(*objects):
    keras = KerasInfo(
        None, SignatureInfo("model", "keras"), LayerInfo("m", "Functional", "$"), tuple(objects), (), (), ()
    )
    return ModelInfo(Format.KERAS_ARCHIVE, "m.keras", "", 0, ProducerInfo(), keras=keras)


def module_with(name="my_layers", **members):
    module = types.ModuleType(name)
    for member in members.values():
        member.__module__ = name
    vars(module).update(members)
    return module


def a_class(name="Scale"):
    return type(name, (), {"get_config": lambda self: {}})


def a_function():
    def swishy(x):
        return x

    return swishy


def test_mapping():
    """A mapping gives objects by name, under the registered name, the bare name, or the name with its package."""
    scale = a_class()
    for name, needed in (
        ("Scale", layer()),
        ("Scale", layer(registered_name="pkg>Scale")),
        ("pkg>Scale", layer(registered_name="pkg>Scale")),
        ("Scale", layer("pkg>Scale")),
    ):
        assert Registry.of_call({name: scale}).resolve(needed) is scale


def test_the_most_exact_name_wins():
    """With two names of one object in the mapping, the registered one decides."""
    exact, bare = a_class(), a_class()
    assert Registry.of_call({"Scale": bare, "pkg>Scale": exact}).resolve(layer(registered_name="pkg>Scale")) is exact


def test_module_as_a_value():
    """A module as a value stands for its attribute: the cause of 'module' object is not callable."""
    scale = a_class()
    assert Registry.of_call({"Scale": module_with(Scale=scale)}).resolve(layer()) is scale


def test_module_as_a_value_without_the_class():
    """A module that lacks the name is an error that says what was given."""
    with pytest.raises(CustomObjectConflictError, match="the module 'my_layers' was given where a class is needed"):
        Registry.of_call({"Scale": module_with()}).resolve(layer())


def test_instance_as_a_value():
    """An instance cannot stand for its class."""
    instance = type("Scale", (), {"get_config": None, "__call__": None})()
    with pytest.raises(CustomObjectConflictError, match="an object of type 'Scale' was given"):
        Registry.of_call({"Scale": instance}).resolve(layer())
    with pytest.raises(CustomObjectConflictError, match="where a function is needed"):
        Registry.of_call({"swishy": 3}).resolve(replace(layer("swishy"), kind="function"))


def test_function_where_a_class_is_needed():
    """A function cannot stand for a class: Keras makes objects by the from_config of the class."""
    with pytest.raises(CustomObjectConflictError, match="of type 'function' was given where a class is needed"):
        Registry.of_call({"Scale": a_function()}).resolve(layer())


def test_package_with_its_submodules(tmp_path, monkeypatch):
    """The modules of a package are searched at every depth when that is asked for, and `__main__` is not run."""
    deep = tmp_path / "my_package" / "deep"
    deep.mkdir(parents=True)
    for name in ("my_package/__init__.py", "my_package/deep/__init__.py"):
        (tmp_path / name).touch()
    (deep / "own.py").write_text("import json\nclass Scale:\n    def get_config(self): pass\n")
    (deep / "__main__.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(str(tmp_path))
    register_module("my_package")
    assert Registry.of_call().resolve(layer()) is None
    register_module("my_package", submodules=True)
    found = Registry.of_call().resolve(layer())
    assert (found.__module__, found.__name__) == ("my_package.deep.own", "Scale")
    (deep / "broken.py").write_text("import no_such_module_here")
    with pytest.raises(CustomObjectConflictError, match=r"'my_package.deep.broken': this module cannot be imported"):
        Registry.of_call().resolve(layer())
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("wrap", [lambda c: [c], lambda c: (c,), lambda c: c, lambda c: module_with(Scale=c)])
def test_other_forms_of_custom_objects(wrap):
    """A list, a tuple, one class and a module are taken as well."""
    scale = a_class()
    assert Registry.of_call(wrap(scale)).resolve(layer()) is scale


def test_modules_in_a_list_of_custom_objects():
    """A module among listed classes is searched like modules=."""
    scale, other = a_class(), a_class("Other")
    assert Registry.of_call([other, module_with(Scale=scale)]).resolve(layer()) is scale


@pytest.mark.parametrize("wrap", [lambda m: [m], lambda m: m, lambda m: m.__name__, lambda m: [m.__name__]])
def test_modules_of_the_call(wrap, monkeypatch):
    """Modules are given as objects or by name, alone or in a list."""
    module = module_with("my_project_layers", Scale=a_class())
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert Registry.of_call(modules=wrap(module)).resolve(layer()) is module.Scale


def test_module_that_cannot_be_imported():
    """A module that the caller names and that does not exist is the caller's error."""
    with pytest.raises(CustomObjectConflictError, match="cannot be imported"):
        Registry.of_call(modules="no_such_module_here").resolve(layer())


@pytest.mark.parametrize(
    ("text", "reason"), [("1 / 0", "ZeroDivisionError: division by zero"), ("import", "SyntaxError: ")]
)
def test_module_that_fails_while_it_is_imported(tmp_path, monkeypatch, text, reason):
    """Whatever it raises, the error names the module and the reason."""
    (tmp_path / "my_failing_layers.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(CustomObjectConflictError, match=f"'my_failing_layers': this module cannot be .*: {reason}"):
        Registry.of_call(modules="my_failing_layers").resolve(layer())


@pytest.mark.parametrize("wrap", [lambda c: [c], lambda c: c])
def test_a_class_given_as_a_module(wrap):
    """Classes and functions are for custom_objects=."""
    with pytest.raises(CustomObjectConflictError, match=r"'Scale': was given in modules=") as caught:
        Registry.of_call(modules=wrap(a_class()))
    assert "custom_objects=[Scale]" in caught.value.hint


@pytest.mark.parametrize("submodules", [False, True])
def test_a_registered_module_that_is_missing(submodules):
    """It is in the way of what needs code, and not of built-in classes, by whose names a class of it may be meant."""
    register_module("no_such_module_here", submodules=submodules)
    scale = a_class("Dense")
    with pytest.raises(CustomObjectConflictError, match="cannot be imported"):
        Registry.of_call().resolve(layer())
    dense = layer("Dense", module="keras.layers", is_builtin=True, is_module_recorded=False)
    assert Registry.of_call().resolve(dense) is None
    register_module(module_with(Dense=scale))
    with pytest.raises(CustomObjectConflictError, match="whether it means Keras's own"):
        Registry.of_call().resolve(dense)


def test_module_recorded_in_the_file_is_never_imported():
    """The module that a file records is not imported, though it could be."""
    sys.modules.pop("this", None)
    assert Registry.of_call().resolve(layer("X", module="this")) is None
    assert "this" not in sys.modules


def test_what_a_module_imports_is_not_offered():
    """A file cannot choose os.system, a built-in, or Keras's own class, because the caller's module imports them."""
    from os.path import join

    module = module_with()
    keras_class = type("Dense", (), {"__module__": "keras.src.layers"})
    vars(module).update(join=join, len=len, sys=sys, Dense=keras_class, number=3)
    for name in ("join", "len", "sys", "Dense", "number"):
        assert Registry.of_call(modules=module).resolve(replace(layer(name), kind="function")) is None


def test_functions_of_other_packages_are_not_offered():
    """A function is taken from the package of the module alone; others are in it because its code calls them."""
    module = module_with("project.layers")
    for home in ("project", "project.activations.smooth", "requests.api", "projects"):
        module.swishy = a_function()
        module.swishy.__module__ = home
        found = Registry.of_call(modules=module).resolve(replace(layer("swishy"), kind="function"))
        assert (found is module.swishy) is (home.partition(".")[0] == "project")
        given = Registry.of_call({"swishy": module.swishy}, module)
        assert given.resolve(replace(layer("swishy"), kind="function")) is module.swishy


@pytest.mark.parametrize("register_it", [False, True])
def test_classes_that_no_model_is_made_of(register_it):
    """A file cannot have a class of the project made that is no class of a model, whatever the place asks for."""
    module = module_with("project.layers", Job=type("Job", (), {"from_config": classmethod(lambda cls, _: cls())}))
    if register_it:
        register_module(module)
    found = Registry.of_call(modules=() if register_it else module)
    for kind in ("layer", "constraint", "object", "function"):
        with pytest.raises(CustomObjectConflictError, match=r"project.layers.Job has no get_config"):
            found.resolve(replace(layer("Job"), kind=kind))
    module.Job.get_config = None
    assert found.resolve(replace(layer("Job"), kind="constraint")) is module.Job


def test_a_module_with_a_class_that_no_model_is_made_of():
    """Such a class does not stand in the way of the class of another module."""
    first, second = module_with("first", Scale=type("Scale", (), {})), module_with("second", Scale=a_class())
    assert Registry.of_call(modules=[first, second]).resolve(layer()) is second.Scale


@pytest.mark.parametrize("marks", [{"is_builtin": True, "is_module_recorded": False}, {"is_replaceable": True}])
def test_a_class_that_no_model_is_made_of_where_none_is_needed(marks):
    """It is no error where Keras has a class of its own: a project may call anything of its own Attention."""
    module = module_with(Scale=type("Scale", (), {}))
    assert Registry.of_call(modules=module).resolve(replace(layer(), **marks)) is None


def test_module_that_ends_the_process(tmp_path, monkeypatch):
    """A script without a guard that is taken for a module does not end the process."""
    (tmp_path / "a_script_that_exits.py").write_text("raise SystemExit(2)")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(CustomObjectConflictError, match="cannot be imported: SystemExit: 2"):
        Registry.of_call(modules="a_script_that_exits").resolve(layer())


def test_class_where_a_function_is_needed():
    """A class cannot stand for a function: calling it makes an object with arguments of the file."""
    scale = a_class()
    for found in (Registry.of_call({"Scale": scale}), Registry.of_call(modules=module_with(Scale=scale))):
        with pytest.raises(CustomObjectConflictError, match="the class 'Scale' was given where a function is needed"):
            found.resolve(replace(layer(), kind="function"))


def test_custom_class_of_another_package_is_offered():
    """A layer class that the caller's module imports from elsewhere is found: it derives from Keras."""
    base = type("Layer", (), {"__module__": "keras.src.layers", "get_config": None})
    module = module_with()
    module.Scale = type("Scale", (base,), {"__module__": "someones_layers.scale"})
    assert Registry.of_call(modules=module).resolve(layer()) is module.Scale


def test_two_modules_with_one_name():
    """Two candidates are an error that names both, unless the recorded module decides."""
    first, second = module_with("first", Scale=a_class()), module_with("second", Scale=a_class())
    found = Registry.of_call(modules=[first, second])
    with pytest.raises(CustomObjectConflictError, match=r"first\.Scale; second\.Scale"):
        found.resolve(layer())
    assert found.resolve(layer(module="second")) is second.Scale


def test_conflicts_name_file_and_line():
    """Where the source is known, an error names it."""
    registered = types.ModuleType(__name__)
    registered._Defined = _Defined
    elsewhere = module_with("elsewhere", _Defined=type("_Defined", (), {}))
    with pytest.raises(CustomObjectConflictError, match=r"test_registry\.py:\d+"):
        Registry.of_call(modules=[registered, elsewhere]).resolve(layer("_Defined"))


class _Defined:
    """A class with a source."""


def test_one_object_in_two_modules_is_no_conflict():
    """A class that two modules share is one candidate."""
    shared = a_class()
    modules = [module_with("first", Scale=shared), module_with("second", Scale=shared)]
    assert Registry.of_call(modules=modules).resolve(layer()) is shared


def test_the_call_comes_before_what_is_registered():
    """custom_objects= wins over modules=, which wins over registered modules."""
    classes = [a_class() for _ in range(3)]
    register_module(module_with("registered", Scale=classes[0]))
    given = module_with("given", Scale=classes[1])
    assert Registry.of_call().resolve(layer()) is classes[0]
    assert Registry.of_call(modules=given).resolve(layer()) is classes[1]
    assert Registry.of_call({"Scale": classes[2]}, given).resolve(layer()) is classes[2]


def test_register():
    """register() works as a decorator with and without options, and gives back what it got."""
    scale, renamed, packaged = a_class(), a_class("NewScale"), a_class("Packaged")
    assert register(scale) is scale
    assert register(name="OldScale")(renamed) is renamed
    register(packaged, package="pkg")
    found = Registry.of_call()
    assert found.resolve(layer()) is scale
    assert found.resolve(layer("OldScale")) is renamed
    assert found.resolve(layer("Packaged", registered_name="pkg>Packaged")) is packaged


def test_package_decides_between_registered_objects():
    """Of two registered objects of one name, the one under the recorded package is meant."""
    first, second = a_class(), a_class()
    register(first, package="first")
    register(second, package="second")
    assert Registry.of_call().resolve(layer(registered_name="second>Scale")) is second
    with pytest.raises(CustomObjectConflictError, match="several objects"):
        Registry.of_call().resolve(layer())


def test_registering_twice_is_registering_once():
    """Running a notebook cell again makes no conflict."""
    scale, module = a_class(), module_with()
    for _ in range(2):
        register(scale)
        register_module(module)
    assert len(registry._REGISTERED.objects) == len(registry._REGISTERED.modules) == 1


def test_a_cell_that_runs_again_registers_what_it_defines_anew():
    """The former class is gone for its author; two classes that calls of one function make are two."""
    cell = "class Scale:\n    def get_config(self): return {}\nregister(Scale)\nregister(Scale, name='Old')"
    for _ in range(2):
        latest = {"register": register, "__name__": "__main__"}
        exec(cell, latest)  # noqa: S102 - as a notebook runs its cells
    assert Registry.of_call().resolve(layer()) is Registry.of_call().resolve(layer("Old")) is latest["Scale"]
    for _ in range(2):
        register(a_function(), name="swishy")
    with pytest.raises(CustomObjectConflictError, match="several objects"):
        Registry.of_call().resolve(replace(layer("swishy"), kind="function"))


def test_registering_what_cannot_be_registered():
    """Only modules are registered as modules, and only classes and functions as objects."""
    for given in (3, ""):
        with pytest.raises(CustomObjectConflictError, match="neither a module"):
            register_module(given)
    with pytest.raises(CustomObjectConflictError, match="neither a class"):
        register(sys)
    with pytest.raises(CustomObjectConflictError, match="neither a class"):
        register(3, name="x")


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_registries_of_keras_are_looked_at(package, monkeypatch):
    """What the caller's code registered with Keras is found; Keras is not imported for it."""
    scale = a_class()
    saving = types.SimpleNamespace(get_registered_object={"pkg>Scale": scale}.get)
    monkeypatch.setitem(sys.modules, package, types.SimpleNamespace(saving=saving))
    assert Registry.of_call().resolve(layer(registered_name="pkg>Scale")) is scale
    assert Registry.of_call().resolve(layer("Other")) is None


def test_a_module_of_keras_that_is_half_imported(monkeypatch):
    """A Keras that has no saving module yet offers nothing."""
    monkeypatch.setitem(sys.modules, "keras", types.ModuleType("keras"))
    assert Registry.of_call().resolve(layer()) is None


def builtin(**fields):
    return layer("LayerNormalization", module="keras.layers", is_builtin=True, **fields)


def test_builtins_with_a_recorded_module_stay_builtin():
    """Where the file records Keras's module, a custom class of the name is not asked for."""
    found = Registry.of_call({"LayerNormalization": a_class()})
    assert found.resolve(builtin()) is None


def test_custom_class_of_the_call_takes_a_builtins_place():
    """Where the file records no module, what the call gives for the name is meant."""
    mine = a_class("LayerNormalization")
    needed = builtin(is_module_recorded=False)
    assert Registry.of_call({"LayerNormalization": mine}).resolve_all(model(needed)) == {
        "keras.layers.LayerNormalization": mine
    }


def test_registered_class_and_builtin_of_one_name():
    """Where the file records no module, a registered class of the name is a question and not an answer."""
    register_module(module_with(LayerNormalization=a_class("LayerNormalization")))
    with pytest.raises(CustomObjectConflictError, match="does not say whether it means Keras's own layer or my_layers"):
        Registry.of_call().resolve(builtin(is_module_recorded=False))


def activation(name="gelu", module="keras.activations"):
    return ObjectInfo("$.config", name, "function", module, None, is_builtin=True, is_module_recorded=False)


def a_function_of(module, name="gelu"):
    made = a_function()
    made.__module__, made.__name__ = module, name
    return made


def test_a_function_of_the_call_takes_the_place_of_an_activation():
    """What is given by the name is meant, Keras's own but for its activation of that name itself."""
    for home in ("mine", "tensorflow.python.ops.nn_ops", "keras.src.ops.nn"):
        mine = a_function_of(home)
        found = Registry.of_call([mine]).resolve_all(model(activation(), activation("relu")))
        assert found == {"keras.activations.gelu": mine}
    own = a_function_of("keras.src.activations.activations")
    assert Registry.of_call([own]).resolve(activation()) is None
    assert Registry.of_call({"relu": own}).resolve(activation("relu")) is own
    with pytest.raises(CustomObjectConflictError, match="the class 'gelu' was given where a function is needed"):
        Registry.of_call([a_class("gelu")]).resolve(activation())


def test_a_function_of_a_module_and_an_activation_of_one_name():
    """It may be a helper: a question and not an answer, as what is registered."""
    module = module_with(gelu=a_function_of("my_layers"))
    for found in (Registry.of_call(modules=module), Registry.of_call(module)):
        with pytest.raises(CustomObjectConflictError, match=r"Keras's own function or my_layers\.") as caught:
            found.resolve(activation())
        assert (
            caught.value.hint == "say which one: custom_objects={'gelu': …}, or keras.activations.gelu for Keras's own"
        )
        assert found.resolve(activation("relu")) is None
    register(a_function_of("elsewhere"))
    with pytest.raises(CustomObjectConflictError, match=r"Keras's own function or elsewhere\."):
        Registry.of_call().resolve(activation())


def test_what_a_custom_class_calls_by_a_text():
    """It may be a function or a class of the caller's, or nothing that anybody has."""
    text = ObjectInfo("$.config", "seven", "function", None, None, is_replaceable=True, is_module_recorded=False)
    assert Registry.of_call().resolve_all(model(text)) == {}
    for value in (a_function(), a_class("seven")):
        assert Registry.of_call({"seven": value}).resolve_all(model(text)) == {"seven": value}
        assert Registry.of_call(modules=module_with(seven=value)).resolve_all(model(text)) == {"seven": value}


def test_what_is_no_activation_in_a_module():
    """Classes, and functions that need more than a tensor; where a signature does not tell, it may be one."""

    def needs_more(x, axis):
        return x

    for value in (needs_more, type("gelu", (), {"get_config": None})):
        assert Registry.of_call(modules=module_with(gelu=value)).resolve(activation()) is None
    register(min, name="gelu")
    with pytest.raises(CustomObjectConflictError, match="Keras's own function"):
        Registry.of_call().resolve(activation())


def test_all_missing_names_at_once():
    """Every missing name is reported once, with its module; names for training alone are not needed."""
    objects = [layer(), layer(), layer("Other", module="old.place"), layer("loss", is_training_only=True)]
    with pytest.raises(CustomObjectNotFoundError) as caught:
        Registry.of_call().resolve_all(model(*objects, builtin()))
    assert [(m.name, m.module) for m in caught.value.missing] == [("Scale", None), ("Other", "old.place")]
    assert "layer 'Other' (was in old.place)" in str(caught.value)


def test_parts_that_a_default_can_stand_for():
    """An initializer of a layer of Keras is taken where it is given, and not missed where it is not."""
    init = layer("Init", is_training_only=True, is_replaceable=True)
    given = a_class("Init")
    assert Registry.of_call({"Init": given}).resolve_all(model(init)) == {"Init": given}
    assert Registry.of_call().resolve_all(model(init)) == {}


def test_similar_names_are_offered():
    """A name spelled nearly as a missing one is in the hint, whichever source has it; that of another class is not."""
    register(a_class("Scaled"))
    register_module(module_with(Swishing=a_class("Swishing"), my_norm=a_class("my_norm")))
    others = ("QuantizeWrapper", "TransformerDecoder", "Conv2DBlock", "Abc")
    found = Registry.of_call({"Othr": a_class(), **{name: a_class(name) for name in others}})
    distinct = [layer(name) for name in ("QuantizeLayer", "TransformerEncoder", "Conv1DBlock", "Zzz")]
    needed = [layer(), layer("Swishin"), layer("Other"), layer("MyNorm"), *distinct]
    with pytest.raises(CustomObjectNotFoundError) as caught:
        found.resolve_all(model(*needed))
    assert "'Scale' may be the registered 'Scaled'; 'Swishin' may be the registered 'Swishing'" in caught.value.hint
    assert "'MyNorm' may be the registered 'my_norm'" in caught.value.hint
    assert not any(f"{unlike.name!r} may be" in caught.value.hint for unlike in distinct)


def test_names_under_which_the_config_looks():
    """Objects are returned under their registered names, else under their bare names."""
    scale, swishy = a_class(), a_function()
    found = Registry.of_call({"Scale": scale, "swishy": swishy})
    objects = [layer(registered_name="pkg>Scale"), replace(layer("swishy"), kind="function")]
    assert found.resolve_all(model(*objects)) == {"pkg>Scale": scale, "swishy": swishy}


def test_one_name_of_two_modules():
    """Where a file has two classes of one name, each is found in its module, or given with it."""
    first, second = module_with("first", Scale=a_class()), module_with("second", Scale=a_class())
    needed = model(layer(module="first"), layer(module="second"))
    wanted = {"first.Scale": first.Scale, "second.Scale": second.Scale}
    assert Registry.of_call(modules=[first, second]).resolve_all(needed) == wanted
    assert Registry.of_call(wanted).resolve_all(needed) == wanted
    assert Registry.of_call({"first.Scale": first, "second.Scale": second}).resolve_all(needed) == wanted
    for one in ({"Scale": second.Scale}, [module_with("moved", Scale=a_class())]):
        with pytest.raises(CustomObjectConflictError, match="of this name, of first and second") as caught:
            Registry.of_call(one).resolve_all(needed)
        assert "custom_objects={'first.Scale': …, 'second.Scale': …}" in caught.value.hint
    with pytest.raises(CustomObjectNotFoundError) as caught:
        Registry.of_call().resolve_all(needed)
    assert [missing.module for missing in caught.value.missing] == ["first", "second"]


def test_one_name_for_two_objects():
    """A file that means two classes under one registered name is an error."""
    first, second = module_with("first", Scale=a_class()), module_with("second", Scale=a_class())
    objects = [layer(module=name, registered_name="pkg>Scale") for name in ("first", "second")]
    with pytest.raises(CustomObjectConflictError, match="here and second.Scale there"):
        Registry.of_call(modules=[first, second]).resolve_all(model(*objects))


def test_models_without_a_config_need_nothing():
    """A SavedModel needs no custom objects."""
    info = ModelInfo(Format.SAVED_MODEL, "m", "", 0, ProducerInfo())
    assert Registry.of_call().resolve_all(info) == {}
