"""What a graph provably allocates and repeats. Layer: policy."""
