"""Every container of a Keras config and its weights. Layer: readers."""
