import torch

from dropsmith.prediction.peak_memory import PeakMemory


def test_the_peak_is_what_was_held_together_and_not_what_was_ever_made():
    counts = True
    with PeakMemory(lambda: counts) as live:
        one = torch.zeros(1000)
        for _ in range(5):
            two = one + 1
            del two
        view = one.view(10, 100)
        del one
        three = view.clone()
    assert live.peak == 2 * 4000
    assert three.shape == (10, 100)


def test_only_the_moments_that_count_are_counted():
    moment = {"counts": False}
    with PeakMemory(lambda: moment["counts"]) as live:
        large = torch.zeros(10_000)
        del large
        moment["counts"] = True
        small = torch.zeros(10)
    assert live.peak == small.nbytes
