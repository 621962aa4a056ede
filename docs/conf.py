"""Sphinx configuration."""

project = "safeload"
copyright = "the safeload developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "safeload"
html_static_path = ["_static"]
html_css_files = ["wrap.css"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
napoleon_custom_sections = ["Guarantees", "Source"]
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_mock_imports = ["tensorflow", "keras", "tf_keras"]
default_role = "code"  # docstrings name parameters in single backticks
nitpick_ignore_regex = [
    # Other projects' names: no inventory is fetched, so that the build needs no network.
    ("py:.*", r"(tf|tensorflow|keras|tf_keras|np|numpy|os|collections|types|pathlib|typing|builtins)(\..*)?"),
    (
        "py:.*",
        r"(str|int|bool|bytes|float|dict|list|tuple|object|type|None|Any|enum\.Enum|Enum|Exception|BinaryIO|TypeVar|T|P)",
    ),
    # Napoleon takes what stands before a colon for a type; names have no spaces.
    ("py:class", r".* .*"),
    # Errors have their sections on reference/errors.md, which tests hold against the classes.
    ("py:exc", r"\w+Error"),
    # Types that the public functions mention and that are no public names.
    (
        "py:.*",
        r"(safeload\.(_|registry|runtime|policy|inspection|planning|formats)|Backend|Recipe|CustomObjects|[A-Z]\w+Info|Outcome|CustomObject|Requirement|Source|Architecture|ModuleType|PathLike|Severity).*",
    ),
]
exclude_patterns = ["_build"]
