"""Data folders in the form of the recipes' tasks, of words that every Python carries."""

import json
from collections.abc import Callable, Iterator
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


def _sentences(count: int, start: int = 0) -> Iterator[str]:
    for i in range(count):
        yield " ".join(WORDS[start + 7 * i : start + 7 * i + 4 + i % 5])


def sentence_folder(folder: Path) -> Path:
    """GLUE's tasks in small: sentences and pairs whose label is how long the first one is."""
    columns = {
        "cola": ("sentence",),
        "sst2": ("sentence",),
        "mrpc": ("sentence1", "sentence2"),
        "rte": ("sentence1", "sentence2"),
        "stsb": ("sentence1", "sentence2"),
        "qnli": ("question", "sentence"),
        "qqp": ("question1", "question2"),
        "mnli": ("premise", "hypothesis"),
    }
    for task, texts in columns.items():
        (folder / task).mkdir()
        label: Callable[[int], str] = {
            "mnli": lambda i: str(i % 5 % 3),
            "stsb": lambda i: str(i % 5 + 0.5),
        }.get(task, lambda i: str(i % 5 % 2))
        name = "score" if task == "stsb" else "label"
        for part, start in (("train", 0), ("dev", 400), ("test", 800)):
            both = zip(_sentences(40, start), _sentences(40, start + 3), strict=True)
            rows = [(*pair[: len(texts)], label(i)) for i, pair in enumerate(both)]
            lines = ["\t".join(row).replace('"', "") for row in ((*texts, name), *rows)]
            (folder / task / f"{part}.tsv").write_text("\n".join(lines) + "\n")
    return folder


def pair_folder(folder: Path) -> Path:
    """Translations and summaries in small: a text and its first words."""
    raw, talks, chats = folder / "multi30k" / "raw", folder / "iwslt2017_de_en", folder / "samsum"
    others = [folder / f"iwslt14_{other}_en" for other in ("fr", "zh", "es")]
    for made in (raw, talks, chats, *others):
        made.mkdir(parents=True)
    for name in ("train", "val", "test_2016_flickr"):
        _aligned(raw / name, ("en", "de"), 24)
    _aligned(talks / "test", ("de", "en"), 1_024)
    _aligned(talks / "validation", ("de", "en"), 8)
    for other in others:
        for part in ("train", "valid", "test"):
            _aligned(other / part, (other.name.split("_")[1], "en"), 24)
    for part in ("train", "validation", "test"):
        rows = [{"dialogue": one, "summary": _start(one)} for one in _sentences(24)]
        (chats / f"{part}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


def _aligned(path: Path, languages: tuple[str, str], count: int) -> None:
    texts = list(_sentences(count))
    for language, lines in zip(languages, (texts, map(_start, texts)), strict=True):
        path.with_name(f"{path.name}.{language}").write_text("\n".join(lines) + "\n")


def _start(text: str) -> str:
    return " ".join(text.split()[:3])
