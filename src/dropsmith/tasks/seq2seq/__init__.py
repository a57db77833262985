"""Texts that are written from other texts: translation and summarisation."""
