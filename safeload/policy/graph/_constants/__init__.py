"""What follows from the constants of a graph about its tensors. Layer: policy."""
