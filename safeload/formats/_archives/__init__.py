"""Files that hold other files: what they are, and their members as they are. Layer: formats."""
