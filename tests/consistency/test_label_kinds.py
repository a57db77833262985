"""Labels that are not integers are probabilities of classes or separate labels, by their values."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.consistency import consistent, restore, terms_of
from dropsmith.errors import ObjectiveError
from dropsmith.objectives import RDrop, TaskLoss


def tagger():
    return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 3))


SHARES = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.9, 0.1], [0.25, 0.25, 0.5]])


@pytest.mark.parametrize(
    ("x", "labels"),
    [
        (torch.randn(4, 6), SHARES),
        (torch.randn(4, 5, 6), SHARES.unsqueeze(1).expand(4, 5, 3)),
        (torch.randn(4, 6), SHARES.bfloat16()),
        (torch.randn(4, 6), torch.full((4, 3), 1 / 3)),
    ],
    ids=["rows", "tokens", "half precision", "even"],
)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("problem", ["classification", "soft_classification"])
def test_probabilities_of_classes_mean_cross_entropy_with_them(x, labels, smoothing, problem):
    model = consistent(tagger(), RDrop(alpha=2), loss=problem, label_smoothing=smoothing)
    model(x, labels=labels)  # a kind of batch is tried when it is met first
    torch.manual_seed(3)
    model(x, labels=labels)
    found = terms_of(model)
    torch.manual_seed(3)
    both = restore(model)(torch.cat([x, x])).flatten(0, -2)
    target = torch.cat([labels, labels]).flatten(0, -2).float()
    expected = F.cross_entropy(both, target, label_smoothing=smoothing)
    torch.testing.assert_close(found["task"].value, expected.detach())
    p, q = (view.log_softmax(-1) for view in both.chunk(2))
    divergences = [
        F.kl_div(a, b, log_target=True, reduction="batchmean") for a, b in ((p, q), (q, p))
    ]
    torch.testing.assert_close(found["consistency"].value, sum(divergences).detach() / 2)


def test_separate_labels_stay_separate_and_what_may_be_either_is_asked_for():
    x, separate = torch.randn(4, 6), torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1]])
    model = consistent(tagger(), TaskLoss(), loss="classification")
    torch.manual_seed(0)
    loss = model(x, labels=separate).loss
    torch.manual_seed(0)
    scores = restore(model)(x)
    torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(scores, separate))
    one_hot, mixed = torch.eye(3)[[0, 1, 2, 0]], torch.tensor([[0.5, 0.5, 0], [0.9, 0.3, 0.1]])
    model = consistent(tagger(), TaskLoss(), loss="classification")
    for labels in (one_hot, mixed):
        with pytest.raises(ObjectiveError, match=r"soft_classification[\s\S]*multi_label"):
            model(x[: len(labels)], labels=labels)
    with pytest.raises(ObjectiveError, match="regression"):
        model(x, labels=torch.randn(4, 3) * 5)
    for problem, oracle in (
        ("soft_classification", F.cross_entropy),
        ("multi_label", F.binary_cross_entropy_with_logits),
    ):
        model = consistent(tagger(), TaskLoss(), loss=problem)
        torch.manual_seed(0)
        loss = model(x, labels=one_hot).loss
        torch.manual_seed(0)
        torch.testing.assert_close(loss, oracle(restore(model)(x), one_hot))


def test_classes_in_dimension_one_are_refused_or_moved():
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Dropout(0.5), nn.Conv2d(8, 5, 1))
    x, labels = torch.randn(2, 3, 6, 6), torch.randint(5, (2, 6, 6))
    soft = torch.randn(2, 5, 6, 6).softmax(1)
    model = consistent(net, TaskLoss(), loss="classification")
    for wrong in (labels, soft):
        with pytest.raises(ObjectiveError, match=r"dimension 1[\s\S]*movedim\(1, -1\)"):
            model(x, labels=wrong)
    restore(model)
    last = {"scores": lambda output: output.movedim(1, -1)}
    for given, oracle in ((labels, labels), (soft.movedim(1, -1), soft)):
        consistent(net, TaskLoss(), loss="classification", **last)
        torch.manual_seed(0)
        loss = net(x, labels=given).loss
        torch.manual_seed(0)
        torch.testing.assert_close(loss, F.cross_entropy(restore(net)(x), oracle))
