"""Every class of attack on a Keras config is found by its own rule, and what resembles one is let through."""

from __future__ import annotations

import pytest
from hostile.keras_configs import (
    ATTACKS,
    CODE,
    LOOK_ALIKES,
    code_text,
    dtype_map,
    entry,
    function,
    functional,
    info_of,
    keras2,
    lambda_layer,
    lambda_value,
    refusing,
    tensor,
)

from safeload.dialects import COMPAT_MODULE
from safeload.formats import Format
from safeload.inspection import ModelInfo, ProducerInfo
from safeload.inspection._walk import NOTABLE_KEYS, NOTABLE_LENGTH
from safeload.policy import examine_graphs, keras_bytecode, keras_names, keras_pickles
from safeload.policy import keras as rules
from safeload.policy.keras import KERAS_RULES, MARKER_RULES, OBJECT_RULES, TEXT_RULES, examine_config
from safeload.policy.tflite import TFLITE_RULES


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused_by_its_rule(name):
    """Each hostile config is refused, by the rule that is meant for it."""
    config, rule = ATTACKS[name]
    assert rule in {finding.rule for finding in refusing(info_of(config, parameter_count=None))}


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_look_alike_passes(name):
    """What resembles an attack and is none is let through; nodes of Keras 2 stand in the file's own config alone."""
    assert refusing(info_of(LOOK_ALIKES[name], normal=functional())) == []


def test_every_rule_is_needed():
    """No rule is covered by the others: each finds something that no other rule finds."""
    names = {rule for _, rule in ATTACKS.values()}
    sole = {rule for config, rule in ATTACKS.values() if {f.rule for f in refusing(info_of(config))} == {rule}}
    assert names - sole <= {"constant-node"}


SIZE_RULES = (
    rules.oversized_layers,
    rules.enlarging_layers,
    rules.empty_transforms,
    rules.unrolled_layers,
    rules.slow_patterns,
)


@pytest.mark.parametrize(
    "rule", [*TEXT_RULES, *OBJECT_RULES, *MARKER_RULES, rules.constant_nodes, *SIZE_RULES], ids=lambda r: r.__name__
)
def test_removing_a_rule_lets_an_attack_through(rule, monkeypatch):
    """Without any one rule, some attack of the gallery is no longer refused for its reason."""
    for table in ("TEXT_RULES", "OBJECT_RULES", "MARKER_RULES"):
        monkeypatch.setattr(rules, table, tuple(r for r in getattr(rules, table) if r is not rule))
    for name in (
        "constant_nodes",
        "oversized_layers",
        "enlarging_layers",
        "empty_transforms",
        "unrolled_layers",
        "slow_patterns",
    ):
        if getattr(rules, name) is rule:
            monkeypatch.setattr(rules, name, lambda _: iter(()))
    assert any(
        expected not in {f.rule for f in refusing(info_of(config, parameter_count=None))}
        for config, expected in ATTACKS.values()
    )


@pytest.mark.parametrize("shape", [[None, 2**20], [[None, 9, 2**20], [None, 64]], 2**20, "x", [[]]])
def test_recorded_shapes_of_any_form_are_followed(shape):
    """A layer may have recorded one shape or one for each input; what is neither breaks nothing."""
    layer = {**entry("GRU", "g", units=64), "build_config": {"input_shape": shape}}
    found = refusing(info_of(functional(layer), parameter_count=None))
    assert {f.rule for f in found} == ({"oversized-layer"} if isinstance(shape, list) and shape != [[]] else set())


@pytest.mark.parametrize(("count", "is_refused"), [(1000, False), (10_000, True)])
def test_words_as_wide_as_the_longest(count, is_refused):
    """Keras makes room for the longest word in place of each: one among many makes gigabytes of a small file."""
    words = ["x" * 60_000, *range(count)]
    found = refusing(info_of(functional(entry("StringLookup", "l", source="inp", vocabulary=words))))
    assert [f.rule for f in found] == (["oversized-layer"] if is_refused else [])
    assert not refusing(info_of(functional(entry("StringLookup", "l", source="inp", vocabulary=[]))))


@pytest.mark.parametrize(
    "dtype",
    [
        dtype_map("encoder/layer_0/dense.1", "decoder/.*/dense", "a b:c-d"),
        {**dtype_map(), "config": {"policy_map": ["(a+)+b"]}},
        {**dtype_map(), "config": None},
    ],
)
def test_layers_that_are_named_plainly(dtype):
    """Paths, with one part left open, are matched at once; what is no map is for others to refuse."""
    assert refusing(info_of(functional(entry("Dense", "d", source="inp", units=1, dtype=dtype)))) == []


@pytest.mark.parametrize("strides", [2**25, 2**31, -(2**31) - 1, [1, 10**4000], [[1, 2**62]]])
@pytest.mark.parametrize(("module", "is_bad"), [("keras.layers", True), ("keras.src.ops.nn", True), ("mine", False)])
def test_windows_that_tensorflow_does_not_survive(strides, module, is_bad):
    """Large numbers end the process or take minutes; what they mean to somebody else's class is its own matter."""
    layer = entry("MaxPooling2D", "p", module=module, source="inp", strides=strides)
    found = [f.rule for f in refusing(info_of(functional(layer))) if f.rule == "oversized-layer"]
    assert found == (["oversized-layer"] if is_bad and strides != [[1, 2**62]] else [])


@pytest.mark.parametrize(("stride", "expected"), [(1 << 12, []), (1 << 13, ["a stride of 8,192"])])
def test_strides_of_transposed_convolutions(stride, expected):
    """Time grows with the square: they are bounded before windows are, and the finding names them."""
    layer = entry("Conv1DTranspose", "c", source="inp", filters=1, kernel_size=[1], strides=[stride])
    assert [f.evidence for f in refusing(info_of(functional(layer)))] == expected


@pytest.mark.parametrize(
    ("name", "usual", "huge"),
    [
        ("Conv1D", {"dilation_rate": [4096]}, {"dilation_rate": [1 << 23, 2]}),
        ("Conv2D", {"dilation_rate": [64, 64]}, {"dilation_rate": [-40_000, 40_000]}),
        ("Diag", {"k": -100}, {"k": -40_000}),
        ("ElasticTransform", {"sigma": 50.5}, {"sigma": 1e4}),
        ("ElasticTransform", {"sigma": 5}, {"sigma": float("nan")}),
        ("ElasticTransform", {"sigma": None}, {"sigma": float("-inf")}),
        ("ExtractPatches", {"size": [64, 64]}, {"size": [3000, 3000]}),
        ("ExtractPatches", {"size": [1, 4000]}, {"size": 3000}),
        ("ExtractPatches3D", {"size": 16}, {"size": 40}),
        ("GaussianBlur", {"kernel_size": [101, 101], "sigma": [1e9, 1e9]}, {"kernel_size": [20_001, 20_001]}),
        ("MelSpectrogram", {"num_mel_bins": 512, "fft_length": 1 << 14}, {"num_mel_bins": 10**7, "fft_length": 2}),
        ("RFFT", {"fft_length": 1 << 20}, {"fft_length": 10**9}),
        ("SSIM", {"filter_size": 101}, {"filter_size": 40_000}),
        ("Unfold", {"padding": 7, "stride": 2}, {"padding": 20_000, "stride": 20_000}),
    ],
)
def test_what_operations_make_on_the_way(name, usual, huge):
    """A kernel or a padded picture is made, and often several times, however small the output is."""
    for config, expected in ((usual, []), (huge, ["oversized-layer"])):
        found = refusing(info_of(functional(entry(name, "o", module="keras.layers", source="inp", **config))))
        assert [f.rule for f in found] == expected


@pytest.mark.parametrize("module", ["keras.src.ops.numpy", "keras.layers", "mine"])
@pytest.mark.parametrize(("key", "usual", "huge"), [("decimals", -6, 309), ("shift", [1, 2**40], [0, -(2**63) - 1])])
def test_numbers_that_tensorflow_does_not_count_with(module, key, usual, huge):
    """An operation of Keras would fail when it is called; a layer may mean something else."""
    for value, is_refused in ((usual, False), (huge, module == "keras.src.ops.numpy")):
        found = refusing(info_of(functional(entry("Round", "r", module=module, source="inp", **{key: value}))))
        assert [f.rule for f in found if f.rule == "oversized-layer"] == ["oversized-layer"] * is_refused


@pytest.mark.parametrize(
    ("name", "config", "evidence"),
    [
        ("AugMix", {"num_chains": 3, "chain_depth": 3}, []),
        ("AugMix", {"num_chains": 3, "chain_depth": 2000}, ["num_chains times chain_depth 6,000"]),
        ("Fold", {"kernel_size": 16}, []),
        ("Fold", {"kernel_size": [16, 300]}, ["kernel_size 4,800"]),
        ("Fold", {"kernel_size": 100}, ["kernel_size 10,000"]),
    ],
)
def test_operations_that_are_many(name, config, evidence):
    """Each operation of a loop over chains or the pixels of a window is written down."""
    found = refusing(info_of(functional(entry(name, "o", source="inp", **config))))
    assert [f.evidence for f in found] == evidence


@pytest.mark.parametrize(("ngrams", "is_refused"), [(3, False), ([1, 90_000], False), (90_000, True), (10**4000, True)])
def test_ngrams_of_every_size(ngrams, is_refused):
    """A number stands for n-grams of every size up to it, and each size is written down."""
    found = refusing(info_of(functional(entry("TextVectorization", "t", source="inp", ngrams=ngrams))))
    assert [f.rule for f in found] == (["unrolled-layer"] if is_refused else [])


def nested(depth, calls, leaves=1):
    """Return a model of *leaves* layers in models that each call the one inside them *calls* times."""
    model = functional(*[entry("ReLU", f"r{index}", source="inp") for index in range(leaves)])
    for _ in range(depth):
        model = functional({**model, "inbound_nodes": [{"args": [tensor("inp")], "kwargs": {}}] * calls})
    return model


@pytest.mark.parametrize(
    ("depth", "calls", "leaves", "is_refused"),
    [(3, 20, 1, False), (1, 49, 1_900, False), (15, 2, 1, True), (30, 2, 1, True), (60, 1, 1_700, True)],
)
def test_models_that_are_called_within_models(depth, calls, leaves, is_refused):
    """Calls multiply from level to level, and each level calls all that is below when it is built."""
    levels = [2 + leaves]
    for _ in range(depth):
        levels.append(2 + calls * (1 + levels[-1]))
    found = [(f.rule, f.evidence) for f in refusing(info_of(nested(depth, calls, leaves)))]
    assert found == ([("unrolled-layer", str(sum(levels)))] if is_refused else [])


def test_calls_are_counted_to_an_end():
    """Numbers of any length would take longer than the calls."""
    assert [f.evidence for f in refusing(info_of(nested(90, 2)))] == [str(1 << 62)]


def test_training_config_is_judged():
    """Bytecode in the training config of an HDF5 file is refused as well."""
    (finding,) = refusing(info_of(functional(), training={"loss": lambda_value()}))
    assert (finding.rule, finding.where) == ("lambda-bytecode", "$.training_config.loss.config.code")


def test_what_only_the_file_says_is_judged():
    """What the normaliser dropped is refused all the same."""
    attack = functional(lambda_layer(function("os", "system")))
    assert [f.rule for f in refusing(info_of(attack, normal=functional()))] == ["host-function"]


def test_what_only_the_normal_form_says_is_judged():
    """The normal form, and what is lowered from it, passes the same rules."""
    attack = functional(lambda_layer(function("os", "system")))
    assert [f.rule for f in refusing(info_of(functional(), normal=attack))] == ["host-function"]
    assert [f.rule for f in examine_config(attack)] == ["host-function"]


def test_own_objects_pass_in_the_normal_form_alone():
    """Objects of safeload may stand in the normal form, which safeload writes, and never in a file."""
    config = functional(entry("MaxoutDense", "x", module=COMPAT_MODULE, source="inp"))
    assert refusing(info_of(functional(), normal=config)) == []
    assert refusing(info_of(config)) != []
    symbol = functional(entry("TensorFlowSymbol", "x", module=COMPAT_MODULE, source="inp", function="io.write_file"))
    assert [f.rule for f in refusing(info_of(functional(), normal=symbol))] == ["tensorflow-symbol"]


@pytest.mark.parametrize(
    ("node", "is_constant"),
    [
        ([["inp", 0, 0, {}]], False),
        ([["inp", 0, 0]], False),
        ([["_CONSTANT_VALUE", -1, 9, {}]], True),
        ([["a"]], True),
        ({"a": ["inp", 0, 0, {}], "b": ["_CONSTANT_VALUE", -1, 9, {}]}, False),
        ({"a": ["_CONSTANT_VALUE", -1, 9, {}]}, True),
        ({"args": [["inp", 0, 0, {}]], "kwargs": {}}, True),
    ],
)
def test_constants_of_tf_keras(node, is_constant):
    """What is lowered to tf_keras has nodes of lists, or dicts of them: constants are marked in them."""
    config = functional({**lambda_layer(function("keras.ops", "zeros")), "inbound_nodes": [node]})
    assert [f.rule for f in examine_config(config)] == (["constant-node"] if is_constant else [])


def test_a_matter_is_reported_once():
    """A finding in the file's config is not repeated for the normal form, where it may stand elsewhere."""
    raw, other = functional(lambda_layer(lambda_value())), lambda_layer(lambda_value(code_text("os", "system")))
    moved = functional(entry("Dense", "other", source="inp", units=1), lambda_layer(lambda_value()))
    assert len(refusing(info_of(raw, normal=moved))) == 1
    assert len(refusing(info_of(raw, normal=functional(lambda_layer(lambda_value()), other)))) == 2


def test_identifier_covers_what_feeds_the_function():
    """The identifier of a Lambda changes with its code and with its arguments, and not with its place."""

    def identifier(*layers):
        return refusing(info_of(functional(*layers)))[0].identifier

    base = identifier(lambda_layer(lambda_value()))
    assert base.startswith("lambda:l@sha256:")
    assert len(base) == len("lambda:l@sha256:") + 40
    assert base == identifier(entry("Flatten", "f", source="inp"), lambda_layer(lambda_value()))
    assert base != identifier(lambda_layer(lambda_value(), arguments={"path": "/etc"}))
    assert base != identifier(lambda_layer(lambda_value(CODE[:-8] + "AAAAAAA=")))


def test_two_lambdas_of_one_code_have_two_identifiers():
    """Trusting one Lambda does not trust another one with the same code and other arguments."""
    other = {**lambda_layer(lambda_value(), arguments={"a": 1}), "name": "other"}
    found = refusing(info_of(functional(lambda_layer(lambda_value()), other)))
    assert len({finding.identifier for finding in found}) == 2


def test_gadgets_have_no_identifier():
    """What safeload would never do cannot be permitted."""
    for name in ("os_system", "get_file", "vocabulary_path", "name_traversal"):
        assert all(finding.identifier is None for finding in refusing(info_of(ATTACKS[name][0])))


def test_bytecode_outside_of_any_object_is_named_after_the_config():
    """Bytecode that belongs to no object still has an identifier."""
    (finding,) = refusing(info_of(functional(), training={"loss": [CODE]}))
    assert finding.identifier.startswith("lambda:config@")


def test_saved_models_are_not_examined_here():
    """Without a Keras config there is nothing to say."""
    info = ModelInfo(Format.SAVED_MODEL, "m", "", 0, ProducerInfo())
    assert [f for rule in KERAS_RULES for f in rule(info)] == []


def test_notable_texts_are_all_that_rules_for_texts_look_at():
    """A text that `notable_places` leaves out is too short to be code, and no name and no vocabulary."""
    assert NOTABLE_LENGTH <= min(keras_bytecode.SHORTEST_CODE_BYTES, keras_pickles.SHORTEST_PICKLE_TEXT)
    assert keras_names.VOCABULARY_KEYS | {"name"} <= NOTABLE_KEYS
    assert len(TEXT_RULES) == 4


@pytest.mark.parametrize("name", ATTACKS)
def test_rules_that_are_left_out_would_find_nothing(name):
    """Places that are passed over, as most are, have nothing that any rule refuses."""
    config = ATTACKS[name][0]
    found = [
        finding
        for place in info_of(config).keras.raw_places
        if not rules._rules_for(place) and (place.is_object or isinstance(place.value, str))
        for rule in (OBJECT_RULES if place.is_object else TEXT_RULES)
        for finding in rule(place)
    ]
    assert not found


def test_rules_about_other_formats_find_nothing():
    """Each rule looks at its own kind of model alone."""
    info = info_of(functional())
    assert not [*examine_graphs(info), *(f for rule in TFLITE_RULES for f in rule(info))]


def test_a_split_into_few_tensors_passes():
    """Only operations that make more tensors than anybody needs are refused."""
    assert refusing(info_of(functional(entry("Unstack", "u", module="keras.src.ops.core", source="inp", num=3)))) == []


@pytest.mark.parametrize(
    "asked",
    [{"repeats": [2] * 40}, {"shape": [-1, *[1] * 40, 8]}, {"multiples": [1, 3]}, {"paddings": [[0, 0], [9, 9]]}],
)
def test_sizes_that_functions_of_tensorflow_are_asked_for(asked):
    """Counts of single elements are added up, and axes of one element change nothing."""
    layer = {**keras2("TFOpLambda", function="tile"), "inbound_nodes": [["inp", 0, 0, asked]]}
    assert not refusing(info_of(functional(layer)))


@pytest.mark.parametrize(("length", "expected"), [([0], True), ([4, -1], True), (0, True), ([4], False), (None, False)])
def test_lengths_of_transforms(length, expected):
    """A length of zero is found in calls of functions too, and no length is the one of the input."""
    node = ["inp", 0, 0, {"fft_length": length}]
    layer = {**keras2("TFOpLambda", function="signal.rfft"), "inbound_nodes": [node]}
    found = [finding.rule for finding in refusing(info_of(functional(layer)))]
    assert ("empty-transform" in found) is expected
