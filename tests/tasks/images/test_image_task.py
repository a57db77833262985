import pytest
import torch

from dropsmith.objectives import RDrop
from dropsmith.passes.make_views import views
from dropsmith.tasks import find_task

pytest.importorskip("transformers")


@pytest.mark.slow
def test_a_few_steps_on_real_images_lower_the_loss(data_dir):
    task = find_task("cifar10-vit")
    data = task.load(data_dir / "cifar10", 40)
    assert data is find_task("cifar10").load(data_dir / "cifar10", 40)
    torch.manual_seed(0)
    net, goal, losses = task.model(data).train(), RDrop(alpha=1.0), []
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    batch = data.train.rows(slice(0, 20))
    with task.plan("dropout", 0.1).installed(net, batch):
        for step in range(1, 16):
            terms = goal.terms(views(net, batch), task.loss)
            optimizer.zero_grad()
            goal.total(terms, step).backward()
            optimizer.step()
            losses.append(float(terms["task"].value.detach()))
    assert losses[-1] < 0.8 * losses[0]
    assert float(terms["consistency"].value.detach()) > 0
