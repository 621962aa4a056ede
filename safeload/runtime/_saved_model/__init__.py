"""A judged SavedModel becomes functions. Layer: runtime."""
