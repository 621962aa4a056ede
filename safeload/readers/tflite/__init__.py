"""TensorFlow Lite models. Layer: readers."""
