"""Models of every era in the form of Keras 3. Layer: dialects."""
