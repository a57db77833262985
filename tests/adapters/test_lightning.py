"""Lightning's Trainer on real sentences: the term is there, resume is exact, eval mode is said."""

import warnings

import pytest
import torch
from torch.utils.data import DataLoader

import dropsmith as ds
from adapters.by_hand import ALPHA, PLAN, assert_took_the_step, hand, held_step
from adapters.texts import batch, bert, rows
from dropsmith.consistency import consistent, terms_of
from dropsmith.objectives import RDrop

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own imports
    lightning = pytest.importorskip("lightning")
pytestmark = [
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*number of training batches"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),
]
RATE = 1.0


class Classifier(lightning.LightningModule):
    def __init__(self, model, optimizer):
        super().__init__()
        self.model, self.make = model, optimizer

    def training_step(self, given, batch_idx):
        return self.model(**given).loss

    def configure_optimizers(self):
        return self.make(self.parameters())


def sgd(parameters):
    return torch.optim.SGD(parameters, RATE)


def fit(model, examples, steps=1, size=32, optimizer=sgd, resume=None, **settings):
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    settings = {"enable_checkpointing": False} | settings
    made = lightning.Trainer(max_steps=steps, accelerator="cpu", **quiet, **settings)
    loader = DataLoader(examples, batch_size=size, collate_fn=batch)
    given = {} if resume is None else {"weights_only": True}
    made.fit(Classifier(model, optimizer), loader, ckpt_path=resume, **given)
    return model


@pytest.mark.parametrize(("size", "accumulation"), [(32, 1), (8, 4)])
def test_the_step_is_the_one_by_hand_whole_and_in_four_parts(data_dir, size, accumulation):
    examples = rows(data_dir, "classification")
    model = held_step(consistent(bert(), RDrop(alpha=ALPHA), plan=PLAN))
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    fit(model, examples, size=size, accumulate_grad_batches=accumulation)
    assert_took_the_step(model, start, hand(bert(), batch(examples)), RATE)


def test_under_mixed_precision_the_term_is_there_in_float32(data_dir):
    examples = rows(data_dir, "classification")
    expected = hand(bert(), batch(examples))
    model = fit(consistent(bert(), RDrop(alpha=ALPHA), plan=PLAN), examples, precision="bf16-mixed")
    found = terms_of(model)
    assert found["consistency"].sum.dtype == torch.float32
    loss = found["task"].value + ALPHA / 2 * found["consistency"].value
    assert float(loss) == pytest.approx(expected.loss, rel=2e-2)


@pytest.mark.filterwarnings("ignore:Found .* module.s. in eval mode")
def test_a_model_that_lightning_leaves_in_eval_mode_is_said(data_dir, tmp_path):
    bert(0.3).save_pretrained(tmp_path)
    model = type(bert()).from_pretrained(tmp_path)
    consistent(model, RDrop(alpha=ALPHA))
    with pytest.warns(UserWarning, match=r"while in eval mode: the term is off[\s\S]*train\(\)"):
        fit(model, rows(data_dir, "classification", 8))
    fit(model.train(), rows(data_dir, "classification", 8))
    assert terms_of(model)["task"].count == 16


KEYED = ds.Plan(
    ds.rule(ds.select(kind="dropout"), ds.Bernoulli(rate=0.3)),
    ds.rule("**.attention()", ds.Bernoulli(rate=0.3)),
)


def resumable(folder, examples, steps, callbacks, resume=None):
    from lightning.pytorch.callbacks import ModelCheckpoint

    model = consistent(bert(0.3), RDrop(alpha=ALPHA, warmup=6), plan=KEYED)
    saving = ModelCheckpoint(folder, "{step}", every_n_train_steps=3, save_top_k=-1)
    settings = {"callbacks": [saving, *callbacks], "enable_checkpointing": True}
    adam = torch.optim.AdamW
    return fit(model, examples, steps, 4, adam, resume, **settings)


def test_a_resumed_run_has_the_masks_of_an_unbroken_one(data_dir, tmp_path):
    from dropsmith.adapters.lightning import CarryStep

    examples = rows(data_dir, "classification", 12)
    whole = resumable(tmp_path / "a", examples, 6, [CarryStep()])
    middle = str(tmp_path / "a" / "step=3.ckpt")
    again = resumable(tmp_path / "b", examples, 6, [CarryStep()], middle)
    assert ds.noise_of(again).step == ds.noise_of(whole).step == 6
    for ours, theirs in zip(again.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_resumed_run_that_cannot_know_its_step_says_so_in_one_line(data_dir, tmp_path):
    from dropsmith.adapters.lightning import CarryStep

    examples = rows(data_dir, "classification", 12)
    resumable(tmp_path / "a", examples, 3, [])
    middle = str(tmp_path / "a" / "step=3.ckpt")
    with pytest.warns(UserWarning, match="whose step is 0"):
        resumable(tmp_path / "b", examples, 4, [], middle)
    with pytest.warns(UserWarning, match="written without CarryStep"):
        resumable(tmp_path / "c", examples, 4, [CarryStep()], middle)


class Parts(lightning.LightningModule):
    """A module whose training step calls its network, and never itself."""

    def __init__(self, loss_of):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(3, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2)
        )
        self.loss_of = loss_of

    def forward(self, x):
        return self.net(x)

    def training_step(self, given, batch_idx):
        return self.loss_of(self.net, *given)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def task_loss(net, x, y):
    return torch.nn.functional.cross_entropy(net(x), y)


def fit_parts(module, steps=5):
    made = lightning.Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    data = torch.utils.data.TensorDataset(torch.ones(40, 3), torch.zeros(40, dtype=torch.long))
    made.fit(module, DataLoader(data, batch_size=8))


RISING = ds.LinearRate(start=0.1, end=0.5, steps=10)


def test_a_plan_on_a_module_whose_training_step_calls_its_network_says_that_it_never_moves():
    module = Parts(task_loss)
    ds.Plan(ds.rule("net.1", ds.Bernoulli(rate=RISING))).install(module)
    with pytest.warns(UserWarning, match=r"never moves[\s\S]*plan\.install\(model\.net"):
        fit_parts(module)
    assert ds.noise_of(module).step == 0


def test_the_plan_on_the_network_itself_moves_and_nothing_is_said():
    module = Parts(task_loss)
    ds.Plan(ds.rule("1", ds.Bernoulli(rate=RISING))).install(module.net)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="(?s).*never moves")
        fit_parts(module)
    assert ds.noise_of(module).step == 5


def test_a_consistent_module_whose_training_step_calls_its_network_is_told():
    module = consistent(Parts(task_loss), RDrop(alpha=1), loss="classification")
    with pytest.warns(UserWarning, match="not trained on[\\s\\S]*never called"):
        fit_parts(module)


class Kept(lightning.pytorch.loggers.Logger):
    """A logger that keeps what it is given."""

    name, version = "kept", 0

    def __init__(self):
        super().__init__()
        self.rows = []

    def log_metrics(self, metrics, step=None):
        self.rows.append(metrics)

    def log_hyperparams(self, *arguments, **named):
        pass


class Returning(Parts):
    """A training step that returns the loss of its consistent network."""

    def training_step(self, given, batch_idx):
        x, y = given
        loss = self.net(x, labels=y).loss
        self.log("loss", loss)
        return loss


def test_lightning_logs_the_terms_and_its_bar_shows_them():
    module = Returning(None)
    consistent(module.net, RDrop(alpha=ALPHA), loss="classification")
    kept = Kept()
    made = lightning.Trainer(
        max_steps=4,
        accelerator="cpu",
        logger=kept,
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    data = torch.utils.data.TensorDataset(torch.randn(40, 3), torch.zeros(40, dtype=torch.long))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=r".*self\.log")
        made.fit(module, DataLoader(data, batch_size=8))
    assert len(kept.rows) == 4
    for row in kept.rows:
        total = row["terms/task"] + ALPHA / 2 * row["terms/consistency"]
        assert row["loss"] == pytest.approx(total, rel=1e-5)
    assert {"terms/task", "terms/consistency"} <= set(made.progress_bar_metrics)


def test_a_consistent_module_in_lightning_trains_as_before_where_there_is_no_logger():
    module = Returning(None)
    consistent(module.net, RDrop(alpha=ALPHA), loss="classification")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=r".*self\.log")
        fit_parts(module)
    assert terms_of(module)["task"].count == 16
