"""Translation: Multi30k, and the held-out talks of IWSLT 2017."""

from dataclasses import dataclass, replace
from pathlib import Path

from dropsmith.errors import DataError
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.sources import load_from_hub, subfolder
from dropsmith.tasks.data.text_files import read_text
from dropsmith.tasks.generation import bleu
from dropsmith.tasks.seq2seq.seq2seq_task import Pair, Seq2SeqTask, TextPairs

HELD_OUT_PAIRS = 1_000
"""Talk sentences that validation is cut from, the last ones, so that talks stay apart."""


def read_multi30k(data: Path | None, bounds: Bounds = USUAL) -> TextPairs:
    """English descriptions of pictures and their German translations (Elliott et al., 2016).

    29,000 pairs to train on, 1,014 for validation, and the test of 2016 on Flickr pictures; in
    their own case and punctuation.

    Raises:
        DataError: the folder does not hold them, or the Hub cannot be reached.
    """
    about = "Multi30k, English to German (Elliott et al., 2016)"
    if data is None:
        splits = load_from_hub("bentrevett/multi30k", None, "multi30k")
        parts = {
            part: [(row["en"], (row["de"],)) for row in splits[part]]
            for part in ("train", "validation", "test")
        }
        return TextPairs(parts=parts, source=about)
    folder = subfolder(data, "multi30k") / "raw"
    names = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
    parts = {
        part: _aligned_pairs(folder, f"{name}.{{}}", "en", "de", bounds)
        for part, name in names.items()
    }
    return TextPairs(parts=parts, source=f"{about} ({data.name})")


def read_iwslt2017(data: Path | None, bounds: Bounds = USUAL) -> TextPairs:
    """German subtitles of talks and their English translations (Cettolo et al., 2012; 2017).

    Only validation and test are to be had without the organisers' archive: the 8,079 pairs of the
    test are trained on here, save the last 1,000, which are validation; and the 888 pairs of the
    validation are the test. Scores compare with each other and with no published one.

    Raises:
        DataError: the folder does not hold them, or none is given.
    """
    if data is None:
        raise DataError("the task iwslt2017 reads a folder\n  give it: --data DIR")
    folder = subfolder(data, "iwslt2017_de_en")
    pairs = _aligned_pairs(folder, "test.{}", "de", "en", bounds)
    parts = {
        "train": pairs[:-HELD_OUT_PAIRS],
        "validation": pairs[-HELD_OUT_PAIRS:],
        "test": _aligned_pairs(folder, "validation.{}", "de", "en", bounds),
    }
    about = "IWSLT 2017, German to English, 7,079 pairs of its test trained on, validation as test"
    return TextPairs(parts=parts, source=f"{about} ({data.name})")


def _aligned_pairs(folder: Path, name: str, source: str, target: str, bounds: Bounds) -> list[Pair]:
    first, second = (_lines(folder, name.format(language), bounds) for language in (source, target))
    if len(first) != len(second):
        raise DataError(
            f"{name.format(source)} and {name.format(target)} in {folder} are not aligned: "
            f"{len(first)} and {len(second)} lines"
        )
    return [
        (source_line, (target_line,))
        for source_line, target_line in zip(first, second, strict=True)
        if source_line and target_line
    ]


def _lines(folder: Path, name: str, bounds: Bounds) -> list[str]:
    path = next((p for p in (folder / f"{name}.gz", folder / name) if p.is_file()), None)
    if path is None:
        raise DataError(f"no file {name} in {folder}\n  looked for: {name}, {name}.gz")
    return [line.strip() for line in read_text(path, bounds).removesuffix("\n").split("\n")]


@dataclass(frozen=True)
class Iwslt14:
    """Reads subtitles of talks (Cettolo et al., 2014) from a folder of aligned lines.

    Args:
        source, target: the languages, as the files end.
    """

    source: str
    target: str

    def __call__(self, data: Path | None, bounds: Bounds = USUAL) -> TextPairs:
        """The three parts; `DataError` where the folder does not hold them, or none is given."""
        source, target = self.source, self.target
        if data is None:
            raise DataError(
                f"the task iwslt14-{source}-{target} reads a folder with train.{source}, "
                f"train.{target}, valid and test alike\n  give it: --data DIR"
            )
        forward_folder = subfolder(data, f"iwslt14_{source}_{target}")
        folder = (
            forward_folder
            if forward_folder != data
            else subfolder(data, f"iwslt14_{target}_{source}")
        )
        names = {"train": "train", "validation": "valid", "test": "test"}
        parts = {
            part: _aligned_pairs(folder, f"{file_name}.{{}}", source, target, bounds)
            for part, file_name in names.items()
        }
        about = f"IWSLT 2014, {source} to {target} (Cettolo et al., 2014)"
        return TextPairs(parts=parts, source=f"{about} ({data.name})")


@dataclass(frozen=True)
class Wmt14:
    """Reads news and proceedings (Bojar et al., 2014) from the Hub.

    Args:
        config: what the Hub calls the two languages.
        source, target: the languages.
    """

    config: str
    source: str
    target: str

    def __call__(self, data: Path | None, bounds: Bounds = USUAL) -> TextPairs:
        """The three parts; `DataError` where a folder was given, or the Hub cannot be reached."""
        source, target = self.source, self.target
        task = f"wmt14-{source}-{target}"
        if data is not None:
            raise DataError(f"the task {task} reads the Hub and not {data}\n  leave --data out")
        splits = load_from_hub("wmt/wmt14", self.config, task, "multi30k and iwslt14-de-en")
        parts = {
            part: [(row[source], (row[target],)) for row in splits[part]["translation"]]
            for part in ("train", "validation", "test")
        }
        about = f"WMT 2014, {source} to {target} (Bojar et al., 2014)"
        return TextPairs(parts=parts, source=about)


_BUDGET = Budget(epochs=12, batch_size=1_024, learning_rate=2e-3, weight_decay=0.01)

MULTI30K = Seq2SeqTask(
    name="multi30k",
    read=read_multi30k,
    scorer=bleu,
    budget=replace(_BUDGET, batch_size=512),
    limit=10_000,
)
"""The first 10,000 of the 29,000 pairs where no limit is given: few enough to overfit. Steps of 512
tokens gave every method more BLEU than steps of 1,024 (`docs/log.md`)."""

IWSLT2017 = Seq2SeqTask(name="iwslt2017", read=read_iwslt2017, scorer=bleu, budget=_BUDGET)


def _iwslt14_task(source: str, target: str) -> Seq2SeqTask:
    return Seq2SeqTask(
        name=f"iwslt14-{source}-{target}",
        read=Iwslt14(source, target),
        scorer=bleu,
        budget=_BUDGET,
        words=10_000,
    )


def _wmt14_task(config: str, source: str, target: str) -> Seq2SeqTask:
    return Seq2SeqTask(
        name=f"wmt14-{source}-{target}",
        read=Wmt14(config, source, target),
        scorer=bleu,
        budget=_BUDGET,
        words=32_000,
        beams=4,
    )


IWSLT14 = tuple(
    _iwslt14_task(*pair)
    for other in ("de", "fr", "zh", "es")
    for pair in ((other, "en"), ("en", other))
)
"""Eight directions, with 10,000 pieces of words for both languages together."""

WMT14 = (_wmt14_task("de-en", "en", "de"), _wmt14_task("fr-en", "en", "fr"))
"""With 32,000 pieces of words."""
