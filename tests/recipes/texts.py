"""Data folders in the form of the recipes' tasks, of words that every Python carries."""

import json
from pathlib import Path
from pydoc_data.topics import topics

WORDS = " ".join(topics[name] for name in sorted(topics)).split()


def language_folder(folder: Path) -> Path:
    """A text in three parts, a line for every twelve words."""
    for split, start, length in (("train", 0, 9_000), ("valid", 9_000, 900), ("test", 9_900, 900)):
        words = [word.lower() for word in WORDS[start : start + length]]
        lines = [" ".join(words[i : i + 12]) for i in range(0, length, 12)]
        for name in (f"ptb.{split}.txt", f"wiki.{split}.tokens"):
            (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def review_folder(folder: Path) -> Path:
    """Reviews of 20 to 80 words, rated by how many of them are long."""
    with (folder / "scaledata.jsonl").open("w") as file:
        for i in range(60):
            words = WORDS[90 * i : 90 * i + 20 + i]
            rating = sum(len(word) > 6 for word in words) / len(words)
            file.write(json.dumps({"text": " ".join(words), "rating": str(rating)}) + "\n")
    return folder
