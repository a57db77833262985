"""Tasks in which a model tells in a sentence what is in a picture."""
