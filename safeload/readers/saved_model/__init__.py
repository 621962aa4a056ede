"""SavedModels, and graphs that stand alone. Layer: readers."""
