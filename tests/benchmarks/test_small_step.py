"""Every way that the small step is timed in does the same work."""

import pytest
import torch

import dropsmith as ds

benchmark = pytest.importorskip("benchmarks.small_step", reason="run from the repository's root")

CPU = torch.device("cpu")


def written_out(logits, labels):
    """R-Drop's loss by sums over probabilities, in double precision.

    The paper's CE₁ + CE₂ + α · ½ (KL + KL), divided by its two views.
    """
    p, q = logits.double().softmax(-1).chunk(2)
    likelihoods = [view[range(len(labels)), labels].log() for view in (p, q)]
    both_ways = ((p - q) * (p.log() - q.log())).sum(-1).mean()
    return (-sum(map(torch.mean, likelihoods)) + benchmark.ALPHA * both_ways / 2) / 2


@pytest.mark.parametrize("way", ["by_hand", "by_consistent"])
def test_a_step_of_r_drop_has_the_loss_of_its_formula(way):
    torch.manual_seed(0)
    model, (x, labels) = benchmark.net(), benchmark.data(CPU)
    torch.manual_seed(1)
    expected = written_out(model(torch.cat([x, x])), labels)
    loss = getattr(benchmark, way)(model, x, labels)
    # Torch's own draw, stacked: the same seed gives every way the same two views.
    torch.manual_seed(1)
    assert loss().item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_keyed_net_draws_both_of_its_dropouts_by_keys():
    model, (x, _) = benchmark.keyed_net(), benchmark.data(CPU)
    rows = {row.site.name: row.how for row in ds.audit(model, x).rows}
    assert rows == dict.fromkeys(benchmark.SITES, "keyed")


def test_a_timed_step_leaves_no_gradients():
    model, (x, labels) = benchmark.net(), benchmark.data(CPU)
    losses = []
    loss = benchmark.by_hand(model, x, labels)

    def remembered():
        losses.append(loss())
        return losses[-1]

    benchmark.step(model, remembered)()
    assert len(losses) == 1
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_loop_and_a_prediction_estimate_the_same_probabilities(monkeypatch):
    monkeypatch.setattr(benchmark, "SAMPLES", 1000)
    torch.manual_seed(0)
    model, (x, _) = benchmark.net(), benchmark.data(CPU)
    looped = benchmark.loop(model, x)
    predicted = benchmark.first_predict(model, x).mean
    # One pass differs from another by 0.003 and one class from another by as much.
    torch.testing.assert_close(predicted, looped, rtol=0, atol=0.001)
    assert looped.std() > 0.002


def test_the_first_call_is_by_a_model_that_has_predicted_nothing(monkeypatch):
    models = []
    monkeypatch.setattr(ds, "predict", lambda model, x, samples: models.append(model))
    model = benchmark.net()
    for _ in range(2):
        benchmark.first_predict(model, torch.ones(2, benchmark.UNITS))
    assert len({id(each) for each in [model, *models]}) == 3
