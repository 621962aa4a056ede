"""Facts about Keras models. Layer: inspection."""
