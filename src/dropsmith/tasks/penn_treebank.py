"""The Penn Treebank as language models are compared on it: 929,589 tokens to train on."""

from dropsmith.tasks._budget import Budget
from dropsmith.tasks.language import LanguageSource, LanguageTask

PENN_TREEBANK = LanguageTask(
    name="penn-treebank",
    source=LanguageSource(
        name="penn-treebank",
        about="Penn Treebank, words (Marcus et al., 1993; prepared by Mikolov et al., 2010)",
        folder="penn_treebank",
        files=("ptb.{}.txt", "{}.txt"),
        hub=("ptb-text-only/ptb_text_only", "penn_treebank", "sentence"),
    ),
    budget=Budget(epochs=20, batch_size=20, learning_rate=4e-3, weight_decay=0.01),
)
