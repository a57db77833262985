import torch

from dropsmith.rng import Key
from dropsmith.tasks import Split
from dropsmith.tasks.images.augmentation import Augmentation, Crops, Flips
from dropsmith.tasks.images.augmented_images import AugmentedImages

IMAGES = torch.rand(30, 3, 8, 8, generator=torch.Generator().manual_seed(0))
PLAIN = Split({"image": IMAGES, "labels": torch.arange(30)})
PART = AugmentedImages(PLAIN, (Flips(), Crops()))


def batch(step, seed=0, part=PART):
    return part.batch(step, seed=seed, batch_size=10).columns


def test_a_step_sees_the_images_of_the_part_changed_and_their_own_labels():
    plain, changed = batch(3, part=PLAIN), batch(3)
    assert torch.equal(plain["labels"], changed["labels"])
    assert not torch.equal(plain["image"], changed["image"])


def test_a_step_sees_the_same_whatever_came_before_it():
    first = batch(3)["image"]
    for step in (1, 2, 9):
        batch(step)
    torch.rand(7)
    assert torch.equal(batch(3)["image"], first)


def test_steps_seeds_and_places_in_the_row_of_augmentations_are_apart():
    class Noted(Augmentation):
        def __call__(self, images, key):
            noted.append((key.first, key.second))
            return images

    noted = []
    part = AugmentedImages(PLAIN, (Noted(), Noted()))
    for seed in (0, 1):
        for step in (1, 2):
            batch(step, seed, part)
    assert len(set(noted)) == 8
    assert (Key.of(0).first, Key.of(0).second) not in noted


def test_only_training_steps_see_changed_images():
    assert torch.equal(PART.rows(slice(0, 5))["image"], IMAGES[:5])
    read = torch.cat([one.columns["image"] for one in PART.batches(7)])
    assert torch.equal(read, IMAGES)
    assert PART.tensors() is PLAIN.tensors()
    assert (len(PART), PART.count_examples(1, seed=0, batch_size=10)) == (30, 10)


def test_a_model_with_another_name_for_its_images_sees_the_same():
    other = PART.rename_input("pixels")
    assert torch.equal(batch(2, part=other)["pixels"], batch(2)["image"])


def test_images_of_another_part_are_joined_as_they_are_and_changed_alike():
    both = PART.concatenate(AugmentedImages(PLAIN, ()))
    assert (len(both), both.augmentations) == (60, PART.augmentations)
    assert torch.equal(both.tensors()["image"], torch.cat([IMAGES, IMAGES]))
