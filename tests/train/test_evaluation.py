import math

import pytest
import torch
from torch import nn

from dropsmith.models import SmallLSTM, lstm_plan
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.prediction.run_predict import predict
from dropsmith.tasks import Split, Stream, find_task
from dropsmith.train import evaluate
from dropsmith.train.evaluation import ROWS


class Given(nn.Module):
    """Returns the scores it is given, with noise in training mode."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, image):
        return self.drop(image)


def split(count, classes=3):
    generator = torch.Generator().manual_seed(0)
    scores = 2 * torch.randn(count, classes, generator=generator)
    labels = torch.randint(0, classes, (count,), generator=generator)
    return Split({"image": scores, "labels": labels})


def by_hand(columns):
    """Each number from its definition, one example at a time."""
    nll, right, bins = 0.0, 0, [[] for _ in range(15)]
    for scores, label in zip(columns["image"].double(), columns["labels"], strict=True):
        p = scores.exp() / scores.exp().sum()
        nll -= math.log(p[label])
        correct = int(p.argmax() == label)
        right += correct
        bins[min(int(p.max() * 15), 14)].append((float(p.max()), correct))
    count = len(columns["labels"])
    gaps = (abs(sum(p for p, _ in one) - sum(c for _, c in one)) for one in bins)
    return {"nll": nll / count, "accuracy": right / count, "calibration_error": sum(gaps) / count}


@pytest.mark.parametrize("count", [7, ROWS, ROWS + 1])
def test_the_scores_are_the_definitions_whatever_the_batches(count):
    examples = split(count)
    found = evaluate(Given(), find_task("digits"), examples)
    assert found == pytest.approx(by_hand(examples.columns), abs=1e-5)


def test_noise_is_off_and_every_module_is_afterwards_in_its_own_mode():
    net = Given().train()
    net.drop.eval()
    examples = split(20)
    once, twice = (evaluate(net, find_task("digits"), examples) for _ in range(2))
    assert once == twice
    assert (net.training, net.drop.training) == (True, False)


def test_a_model_that_fails_is_still_put_back():
    net = nn.Linear(2, 2).train()
    with pytest.raises(TypeError):
        evaluate(net, find_task("digits"), split(3))
    assert net.training


class GivenWords(nn.Module):
    def forward(self, tokens):
        return tokens


def test_a_language_model_has_a_perplexity_over_the_words_that_count():
    scores = torch.zeros(2, 3, 4)
    labels = torch.tensor([[0, 1, 2], [3, -100, -100]])
    found = evaluate(
        GivenWords(), find_task("python-docs"), Split({"tokens": scores, "labels": labels})
    )
    assert found["perplexity"] == pytest.approx(4)
    assert found["nll"] == pytest.approx(math.log(4))
    assert found["accuracy"] == 0.25


def test_samples_are_averaged_as_probabilities_and_scored_as_one():
    task, net = find_task("digits"), nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 3))
    examples = split(9)
    plan = Plan(rule("0", Bernoulli(rate=0.5)))
    with plan.installed(net, torch.ones(2, 3)):
        mean = predict(
            net, {"input": examples.columns["image"]}, 20, seed=4, draws="independent"
        ).mean
        found = evaluate(net, task, examples.rename_input("input"), samples=20, seed=4)
        again = evaluate(net, task, examples.rename_input("input"))
    labels = examples.columns["labels"]
    assert found["nll"] == pytest.approx(-float(mean[range(9), labels].log().mean()), rel=1e-5)
    assert found["accuracy"] == float((mean.argmax(-1) == labels).double().mean())
    assert found["nll"] != again["nll"]


def test_a_stream_sampled_without_some_noise_is_scored_without_it():
    torch.manual_seed(0)
    net, task = SmallLSTM(words=9, width=8), find_task("penn-treebank")
    text = Stream(torch.randint(0, 9, (101,), generator=torch.Generator().manual_seed(1)))
    with lstm_plan("locked", 0.4).installed(net, text.rows(slice(2))):
        alone = evaluate(net, task, text, samples=5)
    both = Plan(*lstm_plan("locked", 0.4).rules, *lstm_plan("words", 0.4).rules)
    with both.installed(net, text.rows(slice(2))):
        assert evaluate(net, task, text, samples=5, without=("words",)) == pytest.approx(alone)
        assert evaluate(net, task, text, samples=5)["nll"] != pytest.approx(alone["nll"])
