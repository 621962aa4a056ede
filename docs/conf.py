"""Sphinx configuration."""

project = "safeload"
copyright = "the safeload developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_mock_imports = ["tensorflow", "keras", "tf_keras"]
nitpick_ignore_regex = [("py:.*", ".*")]
exclude_patterns = ["_build"]
