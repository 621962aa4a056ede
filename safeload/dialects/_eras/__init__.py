"""What the releases of one era wrote, and meant by it. Layer: dialects."""
