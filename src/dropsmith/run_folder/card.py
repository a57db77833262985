"""The model card of a run, in the form of the Hub: its scores, its data, and what is not known."""

import json
import re
from pathlib import Path
from typing import Any

from dropsmith.plans import Plan
from dropsmith.record import Record
from dropsmith.run_folder.description import RunDescription

_METRICS = {
    "nll": "negative log-likelihood",
    "accuracy": "accuracy",
    "calibration_error": "expected calibration error",
    "perplexity": "perplexity",
    "mse": "mean squared error, standardised",
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "r2": "R²",
    "f1": "F1",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "auroc": "AUROC",
    "matthews": "Matthews correlation",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "bleu": "BLEU",
    **{f"bleu{order}": f"BLEU-{order}" for order in range(1, 5)},
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougel": "ROUGE-L",
}
_TARGET = "target"
"""The column of the words so far, which a decoder reads."""
_HUB_NAME = re.compile(r"(\w[\w.-]*/)?\w[\w.-]*")
_PARTS = {"validation": "validation", "test": "test", "test_mc": "test, mean of samples"}
_PARTS |= {"test_constant": "test, the same answer for all"}


def model_card(record: Record, description: RunDescription, plan: Plan, *, predicts: bool) -> str:
    """The text of the card, in Markdown with the Hub's front matter.

    Args:
        record: of the run.
        description: of its model.
        plan: of its noise.
        predicts: whether the folder reads new examples by itself.
    """
    sections = (
        _opening(record, description),
        _use(description, predicts),
        _scores(record),
        _data(record, description),
        _training(record, plan),
        _unknown(record),
    )
    return f"---\n{_front_matter(record, description)}\n---\n\n" + "\n\n".join(sections) + "\n"


def _front_matter(record: Record, description: RunDescription) -> str:
    from huggingface_hub import ModelCardData

    wrapper = description.model.get("wrapper")
    by_library = wrapper is not None and wrapper != "PretrainedMixed"
    checkpoint = description.model.get("checkpoint", "")
    data = ModelCardData(
        library_name="transformers" if by_library else "dropsmith",
        pipeline_tag=_pipeline(record, description),
        base_model=checkpoint if _is_hub_name(checkpoint) else None,
        tags=["dropsmith", "dropout", plain(description.method)],
        model_name=plain(f"{description.task} {description.method}"),
        eval_results=_evaluation(record, description) or None,
    )
    return data.to_yaml().strip()


def _is_hub_name(checkpoint: str) -> bool:
    return _HUB_NAME.fullmatch(checkpoint) is not None and not Path(checkpoint).exists()


def _pipeline(record: Record, description: RunDescription) -> str | None:
    wrapper = description.model.get("wrapper")
    columns = description.inputs
    if _TARGET in columns:
        return "image-to-text" if "image" in columns else "text2text-generation"
    if _predicts_words(record):
        return "text-generation"
    if "features" in columns:
        return f"tabular-{description.kind}" if len(columns) == 1 else None
    if wrapper == "PretrainedClassifier" or "tokens" in columns:
        return "text-classification"
    if description.kind == "classification" and (
        wrapper == "PretrainedImages" or "image" in columns
    ):
        return "image-classification"
    return None


def _predicts_words(record: Record) -> bool:
    """True for a language model, whose classes are words."""
    return any(name.endswith("_perplexity") for name in record.scores)


def _evaluation(record: Record, description: RunDescription) -> list[Any]:
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type=_pipeline(record, description) or description.kind,
            dataset_type=plain(description.task),
            dataset_name=plain(str(record.environment.get("data_source", description.task))),
            dataset_split="test",
            metric_type=name,
            metric_name=_METRICS.get(name, name.replace("_", " ")),
            metric_value=value,
        )
        for name, value in _of_part(record, "test").items()
        if value == value and abs(value) != float("inf")
    ]


def _opening(record: Record, description: RunDescription) -> str:
    model = description.model
    kinds = {
        "dropsmith": lambda: f"`{model['description']['name']}` of dropsmith",
        "transformers": lambda: f"`{plain(model['checkpoint'])}`, fine-tuned",
        "function": lambda: f"the model that `{plain(model['function'])}` makes",
    }
    outcome = _outcome(record, description)
    task, method = plain(description.task), plain(description.method)
    return (
        f"# {task}: {method}\n\nThis is {kinds[model['source']]()}, trained on `{task}` with the "
        f"method `{method}` by dropsmith {description.dropsmith}. {outcome}"
    )


def _outcome(record: Record, description: RunDescription) -> str:
    """What the model predicts, in a sentence."""
    names, columns = description.names, description.inputs
    if _TARGET in columns:
        source = "picture" if "image" in columns else "text"
        return f"It writes texts of {len(names):,} known words or pieces, one for each {source}."
    if _predicts_words(record):
        return f"It predicts the next of {len(names):,} known words."
    if not names:
        return "It predicts a value."
    more = f" and {len(names) - 20} more" if names[20:] else ""
    return f"It tells {len(names)} classes apart: {', '.join(map(plain, names[:20]))}{more}."


def _use(description: RunDescription, predicts: bool) -> str:
    of_user = description.model["source"] == "function"
    spec = plain(str(description.model.get("function", "")))
    option, argument = (f" --model {spec}", ", model=FUNCTION") if of_user else ("", "")
    lines = ["## Predict", ""]
    if predicts:
        lines += [
            "With this folder, or its address `hf://USER/REPO` on the Hub, as `RUN`:",
            "",
            "```bash",
            f"dropsmith predict RUN new.csv --out predictions.csv{option}",
            "```",
            "",
        ]
    call = 'predictor.predict("new.csv")' if predicts else "predictor.predict(tensors)"
    lines += [
        "```python",
        "import dropsmith as ds",
        "",
        f'predictor = ds.load("RUN"{argument})',
        f"prediction = {call}",
        "prediction.to_frame()",
        "```",
    ]
    if of_user:
        lines += ["", f"The model is made by `{spec}`, whose code is not in this folder."]
    return "\n".join(lines)


def _scores(record: Record) -> str:
    parts = {part: _of_part(record, part) for part in _PARTS}
    filled = [part for part, scores in parts.items() if scores]
    names = list(dict.fromkeys(name for part in filled for name in parts[part]))
    rows = [
        f"| | {' | '.join(_PARTS[part] for part in filled)} |",
        "|---" * (len(filled) + 1) + "|",
    ]
    for name in names:
        cells = (f"{parts[p][name]:.4f}" if name in parts[p] else "–" for p in filled)
        rows.append(f"| {_METRICS.get(name, name.replace('_', ' '))} | {' | '.join(cells)} |")
    table = "\n".join(rows) if names else "None were measured."
    return (
        f"## Scores\n\n{table}\n\nThis is one run, with seed {record.config.get('seed')}: how far "
        "the scores of other seeds lie from these was not measured. Weights were chosen on "
        "validation examples."
    )


def _of_part(record: Record, part: str) -> dict[str, float]:
    others = [other for other in _PARTS if other != part and other.startswith(part)]
    return {
        name.removeprefix(f"{part}_"): value
        for name, value in record.scores.items()
        if name.startswith(f"{part}_") and not any(name.startswith(f"{o}_") for o in others)
    }


def _data(record: Record, description: RunDescription) -> str:
    environment = record.environment
    lines = [
        "## Data",
        "",
        f"- source: {plain(str(environment.get('data_source', 'not known')))}",
        f"- SHA-256 of the examples and their split: `{environment.get('data_sha256')}`",
    ]
    if description.kind == "regression":
        lines.append(
            f"- values were standardised by {description.mean:.6g} ± {description.unit:.6g}; "
            "predictions are in the data's own unit"
        )
    return "\n".join(lines)


def _training(record: Record, plan: Plan) -> str:
    config = record.config
    budget = json.dumps(config.get("budget"), ensure_ascii=False)
    objective = json.dumps(config.get("objective"), ensure_ascii=False)
    noise = f"```python\n{plan!r}\n```" if plan.rules else "No noise: the plan has no rules."
    return (
        f"## Training\n\n- record: `{record.id}` (`record.json`)\n- objective: `{objective}`\n"
        f"- budget: `{budget}`\n- seconds: {record.cost.get('seconds', 0.0):.1f} on "
        f"{plain(str(record.environment.get('device', 'a device that is not known')))}\n\n"
        f"The plan, which says where noise is (`plan.json`):\n\n{noise}"
    )


def _unknown(record: Record) -> str:
    unknown = [
        "other seeds, and so whether another method would be better: `dropsmith compare` does that",
        "data from another source than this, and examples that are unlike those of training",
        "differences of the scores between groups of examples",
    ]
    if not _of_part(record, "test"):
        unknown.insert(0, "test examples")
    if not _of_part(record, "test_mc"):
        unknown.append("scores of the mean of noisy passes: `dropsmith train … --samples 50`")
    return "## Not measured\n\n" + "\n".join(f"- {line}" for line in unknown)


def plain(text: str) -> str:
    """A text on one line that Markdown takes for a text.

    >>> plain("cats <b> | `dogs`")
    "cats &lt;b> \\\\| 'dogs'"
    """
    line = " ".join(text.split()).replace("`", "'")
    return line.replace("<", "&lt;").replace("|", "\\|")
