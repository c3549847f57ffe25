import torch
from pytest import approx, mark, raises

from tests.training.tiny import CONTROL, Noise, collate, network
from training.learning.network import Network
from training.learning.optimiser import ControlRows, choose, learning, make_optimiser, rate
from training.loss import losses
from training.stages import ADAPTER, FORMAT, INSTRUCTIONS, SCRATCH, STAGES, STREAMING, Stage


def after_a_step(stage: Stage) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    torch.set_num_threads(1)
    model = network()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    choose(model, stage)
    optimiser = make_optimiser(model, stage)
    rows = ControlRows.of(model, sorted(CONTROL.ids)) if stage.learns_control_rows else None
    for _ in range(2):  # in the second, momentum is at work as well
        take(model, optimiser, rows)
    return before, dict(model.named_parameters())


def take(model: Network, optimiser: torch.optim.Optimizer, rows: ControlRows | None) -> None:
    optimiser.zero_grad()
    noise = Noise()
    batch = collate()([noise[0], noise[1], noise[2]])
    torch.autograd.backward(losses(model(batch), batch, batch.targets).total(1.0))
    if rows:
        rows.hold()
    optimiser.step()


@mark.parametrize(
    ("stage", "parts"),
    [
        (FORMAT, ("decoder.head", "decoder.embedding")),
        (ADAPTER, ("encoder.proj", "encoder.ln_post")),
        (STREAMING, ("encoder.proj", "encoder.ln_post", "decoder")),
        (INSTRUCTIONS, ("encoder.proj", "encoder.ln_post", "decoder")),
        (SCRATCH, ("encoder", "decoder")),
    ],
)
def test_a_stage_changes_its_own_parameters_and_no_others(
    stage: Stage, parts: tuple[str, ...]
) -> None:
    before, after = after_a_step(stage)
    for name, weight in after.items():
        changed = not torch.equal(weight, before[name])
        assert changed == name.startswith(parts) or name == "encoder.audio_bos_eos_token.weight"


def test_of_the_embedding_only_control_rows_learn_the_format() -> None:
    before, after = after_a_step(FORMAT)
    name = "decoder.embedding.weight"
    changed = (after[name] != before[name]).any(dim=1)
    assert set(torch.nonzero(changed).flatten().tolist()) <= CONTROL.ids
    assert changed[CONTROL.assistant]


def test_a_pattern_that_means_nothing_is_an_error() -> None:
    stage = Stage(name="wrong", learns=("decoder.haed.*",), learning_rate=1, steps=1, batch=1)
    with raises(ValueError, match=r"stage wrong: no parameter is called 'decoder.haed.\*'"):
        choose(network(), stage)


def test_matrices_decay_and_nothing_else() -> None:
    model = network()
    choose(model, STREAMING)
    names = {id(p): name for name, p in model.named_parameters()}
    for group in make_optimiser(model, STREAMING).param_groups:
        for parameter in group["params"]:
            matrix = parameter.ndim > 1 and "embedding" not in names[id(parameter)]
            assert group["weight_decay"] == (0.01 if matrix else 0.0)
            assert (group["betas"], group["eps"]) == ((0.9, 0.95), 1e-8)
    assert sum(1 for _ in learning(model)) == sum(
        len(group["params"]) for group in make_optimiser(model, STREAMING).param_groups
    )


def test_the_rate_warms_up_over_three_per_cent_and_falls_in_a_cosine_to_nothing() -> None:
    rates = [rate(step, 1000, STREAMING) for step in range(1000)]
    assert rates[0] == approx(5e-5 / 30)
    assert max(rates) == rates[29] == rates[30] == 5e-5
    assert rates[30 + 485] == approx(2.5e-5)  # half way down
    assert rates[-1] < 1e-9
    assert all(later < earlier for earlier, later in zip(rates[30:], rates[31:], strict=False))


def test_the_published_stages() -> None:
    told = [(s.learning_rate, s.steps, s.batch) for s in STAGES.values() if s is not SCRATCH]
    assert told == [
        (1e-4, 5_000, 512),
        (1e-4, 20_000, 1024),
        (5e-5, 80_000, 1024),
        (1e-5, 15_000, 512),
    ]
    assert dict(INSTRUCTIONS.mix_ins) == {"history": 0.3, "silent": 0.4, "proactive": 0.3}
