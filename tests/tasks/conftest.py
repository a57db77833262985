"""Fixtures that tests of several kinds of tasks share."""

import pytest
import torch

WORDS = ["the", "film", "is", "good", "bad", ".", "a", "and", "not", "so"]


@pytest.fixture(params=["bert", "roberta"])
def checkpoint(request, tmp_path):
    """A model of one layer and a tokeniser of ten words, saved as one would download them."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    if request.param == "roberta":
        special = ["[CLS]", "[PAD]", "[SEP]", "[UNK]"]  # padding is 1 there, and a text begins 0
    known = {word: number for number, word in enumerate([*special, *WORDS])}
    made = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, known[token]) for token in ("[CLS]", "[SEP]")],
    )
    folder = tmp_path / request.param
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]"
    ).save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = getattr(
        transformers, {"bert": "BertConfig", "roberta": "RobertaConfig"}[request.param]
    )
    net = config(
        vocab_size=len(known),
        intermediate_size=32,
        pad_token_id=known["[PAD]"],
        type_vocab_size=2,
        initializer_range=0.2,
        **sizes,
    )
    torch.manual_seed(0)  # or its weights would be those of whatever test ran before
    transformers.AutoModelForSequenceClassification.from_config(net).save_pretrained(folder)
    return folder
