"""Where custom layers and functions are found: declared modules and objects, by name. Layer: beside policy."""

from safeload.registry._registry import CustomObjects, Registry, register, register_module

__all__ = ["CustomObjects", "Registry", "register", "register_module"]
