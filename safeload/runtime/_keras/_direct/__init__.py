"""The direct route of Keras files: a function made from the judged config, without the objects of Keras."""
