"""The gallery shows masks that the model really had."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from compare.synthetic import TASK
from dropsmith.report.figures import NARROW, WIDE, png
from dropsmith.report.gallery import gallery_figure, picture
from dropsmith.report.masks import RATE, mask_examples
from dropsmith.tasks import find_task

DATA = TASK.load()
ORANGE = np.array([0.90, 0.42, 0.10])


@pytest.fixture(scope="module")
def examples():
    """Images, and each noise of the task over them."""
    return mask_examples(TASK, DATA, rows=8)


@pytest.fixture(scope="module")
def by_noise(examples):
    return {one.noise: one for one in examples[1]}


def test_every_noise_of_the_task_is_drawn_over_validation_examples(examples, by_noise):
    assert tuple(by_noise) == TASK.noises
    assert examples[0]["image"].equal(DATA.validation.columns["image"][:8])


def test_drawing_them_leaves_torchs_generators(seeded_on_gpus):
    before = torch.get_rng_state()
    mask_examples(TASK, DATA, rows=8)
    assert torch.equal(torch.get_rng_state(), before)
    assert seeded_on_gpus == []


def test_units_are_dropped_one_by_one_at_the_stated_rate_zeros_of_the_input_among_them(by_noise):
    drops = by_noise["dropout"].drops
    spread = (RATE * (1 - RATE) / drops.numel()) ** 0.5
    assert abs(drops.double().mean().item() - RATE) < 5 * spread


def test_channels_fall_whole_and_blocks_do_not(by_noise):
    maps = by_noise["spatial"].drops.flatten(2)
    assert (maps == maps[..., :1]).all()
    maps = by_noise["blocks"].drops.flatten(2)
    assert not (maps == maps[..., :1]).all()


def test_gaussian_noise_drops_nothing(by_noise):
    assert not by_noise["gaussian"].drops.any()


@pytest.mark.slow
def test_text_tasks_show_words_falling_as_wholes_and_locked_units_in_every_step():
    task = find_task("python-docs")
    data = task.load(limit=64)
    batch, drawn = mask_examples(task, data)
    of_texts = {one.noise: one for one in drawn}
    words = of_texts["words"].drops
    assert (words == words[..., :1]).all()
    assert words.any()
    locked = of_texts["locked"].drops
    assert (locked == locked[:, :1]).all()
    assert of_texts["weights"].values.ndim == 2
    assert png(gallery_figure(batch, drawn, data.vocabulary), 30)[:4] == b"\x89PNG"


@pytest.mark.parametrize("noise", ["dropout", "spatial", "blocks"])
def test_what_was_dropped_is_orange_and_nothing_else_is(noise, by_noise):
    one = by_noise[noise]
    colours = picture(one, 0)
    orange = np.isclose(colours, ORANGE).all(axis=-1).sum()
    shown = one.drops[0][:8] if one.drops.ndim == 4 else one.drops[0][: 10 * 96]
    assert orange == shown.sum().item()


def test_the_picture_has_a_row_of_inputs_and_one_per_noise(examples):
    figure = gallery_figure(*examples)
    assert len(figure.axes) == (1 + len(examples[1])) * 8


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_the_names_of_methods_above_texts_are_inside_the_picture(width, by_noise):
    mask = by_noise["dropout"]
    values, drops = (each[:, None].expand(-1, 5, -1) for each in (mask.values, mask.drops))
    text = replace(mask, values=values, drops=drops, axes=("batch", "time", "unit"))
    tokens = torch.zeros(len(values), 5, dtype=torch.int64)
    figure = gallery_figure({"tokens": tokens}, 3 * [text], ["word"], width)
    figure.draw_without_rendering()
    top = figure.bbox.y1
    names = [t for axes in figure.axes for t in (*axes.texts, axes.title, axes._left_title)]
    edges = [name.get_window_extent().y1 for name in names if name.get_text()]
    assert edges
    assert max(edges) <= top
