"""Sentences and pairs of sentences with a label or a value each."""
