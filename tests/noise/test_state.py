"""A mask depends on its key and on nothing else, and comes back whenever the key does."""

import pickle
import warnings
from copy import deepcopy
from hashlib import blake2s

import pytest
import torch
from torch import nn

import dropsmith as ds
from dropsmith.errors import NoiseError
from dropsmith.noise import site_noise
from dropsmith.noise.forward_pass import TRAINING, ForwardPass
from dropsmith.noise.lookup import find_noise, noise_of, step
from dropsmith.noise.site_noise import SiteNoise
from dropsmith.noise.state import Noise
from dropsmith.patterns import Bernoulli, LinearRate
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.plans.site import Site
from dropsmith.rng import Key
from noise.zoo import FLIPS, KINDS, ONES, Functional, mirrors, mlp


class Fork(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Identity(), nn.Identity()

    def forward(self, x):
        return self.left(x), self.right(x)


@pytest.mark.parametrize("kind", KINDS)
def test_setting_the_step_back_brings_the_masks_back_whatever_torch_drew(kind):
    mirror = mirrors()[kind]
    with mirror.plan().installed(mirror.model, seed=5):
        first = [mirror.masks() for _ in range(3)]
        torch.rand(1000)
        step(mirror.model, 1)
        again = [mirror.masks() for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(first[1:], again, strict=True))
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_resumes_in_a_new_model_has_the_masks_of_one_that_never_stopped(kind):
    whole, resumed = mirrors()[kind], mirrors()[kind]
    whole.plan().install(whole.model, seed=2)
    resumed.plan().install(resumed.model, seed=2)
    before = [whole.masks() for _ in range(4)]
    step(resumed.model, 2)
    after = [resumed.masks() for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(before[2:], after, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_torch_generator_is_not_advanced_by_our_noise(kind):
    mirror = mirrors()[kind]
    with mirror.plan().installed(mirror.model):
        before = torch.get_rng_state()
        mirror.masks()
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", KINDS)
def test_seed_rank_domain_view_and_step_each_give_other_masks(kind):
    mirror = mirrors()[kind]
    found = []
    for seed, rank in ((0, 0), (1, 0), (0, 1)):
        with mirror.plan().installed(mirror.model, seed=seed, rank=rank):
            # Each pass anew, for a pass remembers how often its sites have drawn.
            for this in (
                ForwardPass(),
                ForwardPass(domain=1),
                ForwardPass(views=(1,)),
                ForwardPass(step=9),
            ):
                with noise_of(mirror.model).passing(this):
                    found.append(mirror.masks())
    pairs = [(a, b) for i, a in enumerate(found) for b in found[:i]]
    assert not any(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_training_forward_draws_for_step_one(kind):
    mirror = mirrors()[kind]
    with mirror.plan().installed(mirror.model):
        first = mirror.masks()
        with noise_of(mirror.model).passing(ForwardPass(step=1)):
            assert torch.equal(mirror.masks(), first)


def test_two_sites_of_one_pattern_draw_different_masks():
    fork = Fork()
    with Plan(rule("left", FLIPS), rule("right", FLIPS)).installed(fork):
        left, right = fork(ONES)
    assert not torch.equal(left, right)


def test_a_site_called_twice_in_one_forward_gets_two_masks():
    net = nn.Sequential(Functional(times=2))
    with Plan(rule("0.dropout()", FLIPS)).installed(net):
        first, second = net(ONES).unbind(1)
    assert not torch.equal(first, second)


def test_a_module_used_twice_gets_two_masks():
    shared = nn.Identity()
    net = nn.Sequential(shared, shared)
    with Plan(rule("0", FLIPS)).installed(net):
        dropped = (net(torch.ones(100, 100)) == 0).double().mean().item()
    # 1 - 0.5 ** 2 if independent, one half if the mask were the same; five standard errors.
    assert abs(dropped - 0.75) < 5 * (0.75 * 0.25 / 10_000) ** 0.5


def test_only_training_forwards_of_the_root_count_as_steps():
    net = mlp()
    Plan(rule("1", FLIPS)).install(net)
    x = torch.ones(2, 8)
    net(x), net(x), net[0](x)
    net.eval()(x)
    assert noise_of(net).step == 2


def test_there_is_no_noise_in_eval_mode_unless_a_pass_samples():
    net = nn.Sequential(nn.Identity(), nn.Dropout(0.1)).eval()
    Plan(rule("*", FLIPS)).install(net)
    assert torch.equal(net(ONES), ONES)
    with noise_of(net).passing(ForwardPass(sampling=True)):
        assert not torch.equal(net(ONES), ONES)


def test_a_quiet_view_has_no_noise():
    net = nn.Sequential(nn.Identity())
    Plan(rule("0", FLIPS)).install(net)
    with noise_of(net).passing(ForwardPass(views=(0, 1), noise_free=(1,), rows=4)):
        loud, noise_free = net(ONES).chunk(2)
    assert torch.equal(noise_free, ONES[:2])
    assert not torch.equal(loud, ONES[:2])


def test_a_copy_of_a_model_has_noise_of_its_own():
    net = mlp()
    Plan(rule("1", FLIPS)).install(net, seed=3)
    net(torch.ones(2, 8))
    copies = deepcopy(net), pickle.loads(pickle.dumps(net))
    for copy in copies:
        assert noise_of(copy) is not noise_of(net)
        assert torch.equal(copy(torch.ones(2, 8)), deepcopy(net)(torch.ones(2, 8)))
        copy(torch.ones(2, 8))
    assert noise_of(net).step == 1


def test_looking_at_a_model_leaves_its_counters_as_they_were():
    net = mlp()
    Plan(rule("1", FLIPS)).install(net)
    net(torch.ones(2, 8))
    noise = noise_of(net)
    before = noise.step, dict(noise.draw_counts), noise.current
    with noise.probing():
        net(torch.ones(2, 8))
    assert (noise.step, noise.draw_counts, noise.current) == before


def test_a_step_cannot_be_negative():
    net = mlp()
    Plan(rule("1", FLIPS)).install(net)
    with pytest.raises(NoiseError, match="a step must be a whole number of at least 0, got -1"):
        step(net, -1)


def test_a_model_without_a_plan_has_no_noise_to_set():
    assert find_noise(mlp()) is None
    with pytest.raises(NoiseError, match="install a plan first"):
        step(mlp(), 3)


def test_noise_is_found_through_a_wrapper():
    net = mlp()
    Plan(rule("1", FLIPS)).install(net)
    assert find_noise(nn.Sequential(net)) is noise_of(net)


@pytest.mark.parametrize("limit", ["_MAX_SERIES", "_CALLS_IN_SERIES"])
def test_keys_made_several_at_once_are_those_that_are_folded_anew(monkeypatch, limit):
    monkeypatch.setattr(site_noise, limit, 3)
    noise, site = Noise(seed=5, rank=1), Site(name="a", kind="dropout", owner="a", type="Dropout")
    state = SiteNoise(noise, site, FLIPS)
    prefix = Key.of(5).fold(1, int.from_bytes(blake2s(b"a", digest_size=4).digest(), "big"))

    def check(numbers):
        for call in range(4):
            (source,) = state.sources(torch.device("cpu"))
            assert source.key == prefix.fold(TRAINING, 0, call, *numbers)

    for number in range(1, 40):
        noise.begin(training=True)
        check((number,))
        for forward in (1, 2, 3) if number % 10 == 0 else ():
            noise.begin(training=False)
            check((number, forward))
    for number in (7, 2**31 - 9):
        noise.step = number
        noise.begin(training=True)
        check((number + 1,))
    assert len(state._series) <= 3 + (limit != "_MAX_SERIES")


class Parts(nn.Module):
    """A model whose `net` a caller may run by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2))

    def forward(self, x):
        return self.net(x)


RISING = Plan(rule("net.1", Bernoulli(rate=LinearRate(start=0.1, end=0.5, steps=10))))


def train_part(model, calls=6):
    for _ in range(calls):
        model.net(torch.ones(4, 3)).sum().backward()


def test_a_plan_whose_model_is_never_called_says_once_that_its_step_never_moves():
    model = Parts()
    RISING.install(model)
    with pytest.warns(UserWarning, match=r"never moves[\s\S]*'net'") as said:
        train_part(model)
    assert len(said) == 1
    assert str(said[0].message).count("\n") == 1
    assert ds.noise_of(model).step == 0


@pytest.mark.parametrize("before", ["a step", "no gradients", "eval", "views", "a pass of audit"])
def test_parts_that_are_called_beside_the_model_say_nothing(before):
    model, x = Parts(), torch.ones(4, 3)
    RISING.install(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if before == "a step":
            model(x).sum().backward()
            train_part(model)
        elif before == "no gradients":
            with torch.no_grad():
                for _ in range(6):
                    model.net(x)
        elif before == "eval":
            train_part(model.eval())
        else:
            for _ in range(6):
                ds.views(model, x) if before == "views" else ds.audit(model, x)


def test_a_step_that_a_checkpoint_gave_does_not_hide_that_it_never_moves():
    model = Parts()
    RISING.install(model)
    ds.step(model, 7)
    with pytest.warns(UserWarning, match="never moves"):
        train_part(model)
