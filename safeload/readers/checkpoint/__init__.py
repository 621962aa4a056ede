"""The index of a TensorFlow checkpoint. Layer: readers."""
