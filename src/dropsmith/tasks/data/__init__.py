"""Examples apart from any task: their parts, sources, choice and words."""
