"""A judged Keras config becomes a model. Layer: runtime."""
