"""The normal form in the words of the installed Keras. Layer: dialects."""
