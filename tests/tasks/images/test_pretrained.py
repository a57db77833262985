"""Pictures for a pretrained model, on a tiny checkpoint that is made here."""

import json

import pytest
import torch

import dropsmith as ds
from dropsmith.compare import Design
from dropsmith.errors import TaskError
from dropsmith.models import PretrainedImages
from dropsmith.tasks import Budget, DataOptions, find_task, with_model
from dropsmith.train import train

transformers = pytest.importorskip("transformers")
MEAN, DEVIATION = [0.2, 0.5, 0.4], [0.5, 0.25, 0.3]


@pytest.fixture
def checkpoint(tmp_path):
    """A vision Transformer of one layer for 12 × 12 pixels and three classes, as downloaded."""
    folder = tmp_path / "vit"
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=12,
        patch_size=4,
        num_labels=3,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.AutoModelForImageClassification.from_config(config).save_pretrained(folder)
    said = {"image_mean": MEAN, "image_std": DEVIATION, "image_processor_type": "ViTImageProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return folder


@pytest.fixture
def pictures(tmp_path):
    """Bright and dark pictures of 8 × 8 pixels, a folder for each class."""
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    for name, low in (("dark", 0), ("bright", 150)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(30):
            pixels = generator.integers(low, low + 100, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{i}.png")
    return tmp_path / "pictures"


def tuned(checkpoint, pictures):
    task = find_task(str(pictures))
    return with_model(task, str(checkpoint), task.load())


def test_pictures_have_the_models_own_size_and_the_colours_it_knows(checkpoint, pictures):
    task = tuned(checkpoint, pictures)
    net, seen = task.model(task.load()), []
    net.net.vit.embeddings.register_forward_pre_hook(
        lambda m, args, given: seen.append(args[0] if args else given["pixel_values"]),
        with_kwargs=True,
    )
    grey = torch.tensor([0.1, 0.6, 0.9]).view(1, 3, 1, 1).expand(2, 3, 8, 8)
    assert net(grey).shape == (2, 2)
    assert seen[0].shape == (2, 3, 12, 12)
    wanted = [(c - m) / d for c, m, d in zip((0.1, 0.6, 0.9), MEAN, DEVIATION, strict=True)]
    torch.testing.assert_close(seen[0][0, :, 5, 5], torch.tensor(wanted))


def test_a_model_without_a_size_has_that_of_its_processor(tmp_path):
    config = transformers.ResNetConfig(
        embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic", num_labels=3
    )
    transformers.AutoModelForImageClassification.from_config(config).save_pretrained(tmp_path)
    file = tmp_path / "preprocessor_config.json"
    said = {"image_mean": MEAN, "image_std": DEVIATION}
    file.write_text(json.dumps(said))
    with pytest.raises(TaskError, match=r"nor its image processor says a size\n  write image_size"):
        PretrainedImages(str(tmp_path), 2)
    file.write_text(json.dumps(said | {"size": {"height": 12, "width": 16}}))
    net, seen = PretrainedImages(str(tmp_path), 2), []
    net.net.resnet.register_forward_pre_hook(
        lambda m, args, given: seen.append(args[0] if args else given["pixel_values"]),
        with_kwargs=True,
    )
    assert net.eval()(torch.rand(2, 3, 8, 8)).shape == (2, 2)
    assert seen[0].shape == (2, 3, 12, 16)


def test_a_run_by_name_learns(checkpoint, pictures, tmp_path):
    design = Design(
        task=tuned(checkpoint, pictures),
        methods=("r-drop",),
        budget=Budget(epochs=20, batch_size=8, learning_rate=3e-3),
        model=str(checkpoint),
    )
    record = train(design.setup("r-drop", {"rate": 0.1, "alpha": 0.3}, 0), tmp_path / "run")
    assert record.scores["test_accuracy"] > 0.9


def test_noise_is_in_its_dropout_modules_alone_and_blocks_can_be_read(checkpoint, pictures):
    task = tuned(checkpoint, pictures)
    data = task.load()
    net, batch = task.model(data).train(), data.train.rows(slice(0, 4))
    image = {"image": batch["image"]}
    assert torch.equal(net(**image), net(**image))
    objective = ds.LRDrop()
    with task.plan("dropout", 0.3).installed(net, image):
        rows = ds.audit(net, image).rows
        assert {row.site.kind for row in rows if row.on} == {"dropout"}
        pair = ds.views(net, batch, 2, reads=objective.reads)
        assert float(objective.terms(pair, task.loss)["hidden"].value.detach()) > 0


def test_without_the_hub_a_name_is_an_error_that_says_what_to_do(monkeypatch, pictures):
    def offline(name, **options):
        raise OSError(f"We couldn't connect to load {name}.\nCheck your connection")

    monkeypatch.setattr(transformers.AutoModelForImageClassification, "from_pretrained", offline)
    task = tuned("google/vit-base-patch16-224", pictures)
    with pytest.raises(TaskError, match=r"cannot fetch the pretrained model 'google/vit-base"):
        task.model(task.load())


def test_pictures_of_a_folder_are_read_in_the_size_the_model_was_trained_on(checkpoint, pictures):
    from dropsmith.compare.stored_records import data_hash
    from dropsmith.train import task_and_data

    task = tuned(checkpoint, pictures)
    data = task.load()
    assert data.train.tensors()["image"].shape[1:] == (3, 12, 12)
    options = DataOptions(image_size=(8, 8))
    own = with_model(find_task(str(pictures), data_options=options), str(checkpoint), data)
    assert own.load().train.tensors()["image"].shape[1:] == (3, 8, 8)
    design = Design(task=task, methods=("none",), budget=task.budget, model=str(checkpoint))
    setup = design.setup("none", design.settings("none")[0], 0)
    assert data_hash(setup) == task_and_data(setup)[1].sha256 == data.sha256
