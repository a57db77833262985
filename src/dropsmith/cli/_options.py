"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

TaskName = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="digits, python-docs, penn-treebank, penn-treebank-xl, wikitext2, "
        "wikitext2-transformer, wikitext2-xl, wikitext103, cifar10, cifar10-vit, cifar10-wrn, "
        "cifar10-wrn-augmented, cifar10-wrn-randaugment, cifar100, imagenet, imagenet-64, sst2, "
        "rt_polarity, cola, mrpc, rte, qnli, qqp, mnli, wnli, stsb, sentiment-scale, "
        "sentiment-scale-gru, multi30k, iwslt2017, iwslt14-de-en, iwslt14-en-de, iwslt14-fr-en, "
        "iwslt14-en-fr, iwslt14-zh-en, iwslt14-en-zh, iwslt14-es-en, iwslt14-en-es, "
        "wmt14-en-de, wmt14-en-fr, samsum, scitldr, cnn-dailymail, flickr8k, flickr8k-attention, "
        "coco-captions, captions; or the path of a folder of "
        "pictures by class, or of a table of texts or numbers with labels; or myfile:NAME, a task "
        "in a file of your own; or a recipe, as dropsmith recipes lists them.",
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The folder or file of the task's data."),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="PACKAGE.MODULE:FUNCTION",
        help="A function of yours that makes the model, in place of the task's own; for sentences "
        "and pairs, texts to be written and pictures also a pretrained model by name, such as "
        "bert-base-cased, facebook/bart-large or google/vit-base-patch16-224, or its folder.",
    ),
]
Again = Annotated[
    bool,
    typer.Option(
        "--again", help="Train every run again, in place of reading records that are on disk."
    ),
]
BudgetName = Annotated[
    str,
    typer.Option(
        "--budget",
        metavar="tiny|quick|full|EPOCHS",
        help="full: the task's own; quick: a quarter of its examples; tiny: one epoch of a "
        "hundredth of them, to see that all runs; or a number of epochs. "
        "An epoch counts forward passes over examples: a method of two passes makes half as many "
        "steps, unless --equal says otherwise.",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        min=1,
        help="The number of examples in a step, in place of the task's default; for texts that are "
        "written, the number of tokens.",
    ),
]
BatchContent = Annotated[
    str,
    typer.Option(
        "--batches",
        metavar="random|length",
        help="Which examples make a training batch. random: any; length: texts of about equal "
        "length, so that less of a batch is padding and a step is faster.",
    ),
]
EqualRule = Annotated[
    str,
    typer.Option(
        "--equal",
        metavar="views|updates|converged",
        help="What methods have equally much of. views: example-views, so a method of two passes "
        "makes half as many steps. updates: steps of the optimiser, so a method of two passes "
        "costs twice as much. converged: each run ends when validation has stopped improving.",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        "--patience",
        min=1,
        help="With --equal converged: the evaluations without a better validation loss after "
        "which a run ends; 6 by default. The learning rate is halved after half as many.",
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option("--learning-rate", help="The learning rate, in place of the task's default."),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=0,
        help="Use only this many training examples, or all for 0; running text counts tokens, "
        "reviews count as wholes.",
    ),
]
Labels = Annotated[
    int | None,
    typer.Option(
        "--labels",
        min=1,
        help="Use the labels of only this many training examples, about equally many of each "
        "class and the same for every seed. The others are examples without a label, for methods "
        "that count them, such as uda.",
    ),
]
UnlabelledPlace = Annotated[
    Path | None,
    typer.Option(
        "--unlabelled",
        metavar="FILE|DIR",
        help="Examples without a label: a table, of which rows with a label are left out, or a "
        "folder of pictures.",
    ),
]
UnlabelledRatio = Annotated[
    int,
    typer.Option(
        "--unlabelled-ratio",
        min=1,
        help="The examples without a label in a batch for each with one.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="no|bf16",
        help="no: float32; bf16: mixed precision, weights in float32.",
    ),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="MODULE",
        help="Import this module of your own first, so that plans and records may name what is in "
        "it, such as the pattern myfile:Stripes; reading a file imports nothing. It may be given "
        "again.",
    ),
]
Trackers = Annotated[
    str | None,
    typer.Option(
        "--track",
        metavar="TRACKER,…",
        help="Also send the run's numbers to tensorboard, wandb, mlflow, trackio, or another "
        "tracker of Accelerate, whose library has to be installed.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output, for machines.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="The folder for records. Default: runs/TASK."),
]
MethodName = Annotated[
    str,
    typer.Option(
        "--with",
        metavar="METHOD",
        help="The method: dropsmith methods lists them, and myfile:NAME is one of your own.",
    ),
]
Rate = Annotated[
    float | None, typer.Option("--rate", help="The dropout rate, in place of the default.")
]
PlanSource = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="FILE|NAME|hf://…",
        help="A plan in place of the method's: its file, the record of a run with it, the name of "
        "one that was learned here, or hf://USER/REPO/plan.json on the Hub.",
    ),
]
StartFrom = Annotated[
    Path | None,
    typer.Option(
        "--start",
        metavar="RUN|FILE",
        help="Begin from the best weights of a finished run, given by its folder runs/TASK/ID, or "
        "from a .safetensors file; they are kept until others are better on validation.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=NUMBER",
        help="One of the method's numbers, such as rate=0.3 or alpha=1; may be given again.",
    ),
]
SampleCount = Annotated[
    int,
    typer.Option(
        "--samples",
        min=0,
        help="Also score the mean of this many noisy passes over the test set; 0 for none.",
    ),
]
NoiseFreeKinds = Annotated[
    str | None,
    typer.Option(
        "--samples-without",
        metavar="KIND,…",
        help="Kinds of sites without noise in these passes, such as words.",
    ),
]
Seed = Annotated[
    int,
    typer.Option("--seed", min=0, help="The seed of initial weights, order of examples and noise."),
]
