"""Loss terms and small parts of the encoder, identity and mapper stages."""

import json
import math
import os
import signal
from dataclasses import replace

import pytest
import torch

from tmsa_core.avatars.params import same_person
from tmsa_core.errors import BundleError, RequestError
from tmsa_core.training import run as training_run
from tmsa_core.training.avatar import stages as avatar
from tmsa_core.training.avatar.e4e import crop_errors, delta_loss
from tmsa_core.training.avatar.identity import SCALE, arcface_loss, identity_codes
from tmsa_core.training.avatar.renders import LOOKS, chunk_portraits, held_out_portraits
from tmsa_core.training.mapper.calibrate import first_crossing
from tmsa_core.training.run import Options, Run, update_average


def test_delta_loss_is_the_distance_from_the_first_row():
    w_plus = torch.zeros(1, 3, 4)
    w_plus[0, 1, 0], w_plus[0, 2, 1] = 3.0, 1.0
    assert delta_loss(w_plus).item() == pytest.approx(2.0)
    assert delta_loss(torch.ones(2, 3, 4)).item() == 0


def test_crop_errors_are_small():
    images = torch.nn.functional.interpolate(torch.rand(2, 3, 4, 4), 64, mode="bicubic")
    moved = crop_errors(images, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    assert 0 < (moved - images).abs().mean() < 0.15


def test_arcface_without_a_margin_is_a_scaled_softmax():
    between = torch.nn.functional.normalize(torch.tensor([[1.0, 1.0, 0.0, 0.0]]), dim=1)
    loss = arcface_loss(between, torch.eye(3, 4), torch.tensor([0]), margin=0.0)
    # two centres at the same angle, the third one orthogonal
    expected = math.log(2 + math.exp(-SCALE * math.sqrt(0.5)))
    assert loss.item() == pytest.approx(expected, abs=1e-4)


def test_a_margin_makes_the_right_person_harder_to_reach():
    between = torch.nn.functional.normalize(torch.tensor([[1.0, 1.0, 0.0, 0.0]]), dim=1)
    losses = [
        arcface_loss(between, torch.eye(3, 4), torch.tensor([0]), margin) for margin in (0.0, 0.3)
    ]
    assert losses[1] > losses[0] + 1


def test_identity_codes_know_the_person_and_not_the_look():
    person, look = chunk_portraits(0, 0, 16), chunk_portraits(0, 1, 16)
    a, b = identity_codes(person), identity_codes(same_person(person, look))
    assert torch.allclose(a, b, atol=1e-6)
    assert torch.allclose(a[0], a[LOOKS - 1], atol=1e-6) and a[0] @ a[LOOKS] < 0.9


def test_calibration_takes_the_first_crossing():
    assert first_crossing([1.0, 2.0, 3.0], [0.0, 0.5, 1.5], 1.0) == pytest.approx(2.5)
    assert first_crossing([1.0, 2.0], [1.2, 0.1], 1.0) == 1.0
    assert first_crossing([1.0, 2.0, 3.0], [0.2, 0.9, 0.4], 1.0) == 2.0


def test_people_of_a_chunk_come_in_looks():
    people = chunk_portraits(seed=0, chunk=3, count=2 * LOOKS)
    tones = people.traits["skin_tone"].view(2, LOOKS)
    assert (tones == tones[:, :1]).all() and tones[0, 0] != tones[1, 0]
    assert len(people.attributes["eyewear"][:LOOKS].unique()) > 1
    other = chunk_portraits(seed=0, chunk=4, count=2 * LOOKS)
    assert not torch.equal(people.to_matrix(), other.to_matrix())


def test_held_out_portraits_are_not_those_of_training():
    trained = chunk_portraits(seed=0, chunk=0, count=512).traits["skin_tone"]
    assert not torch.isin(held_out_portraits(64).traits["skin_tone"], trained).any()


def test_a_run_resumes_where_it_stopped_and_forgets_on_demand(tmp_path):
    options = Options(work=tmp_path / "work", out=tmp_path / "out")
    run, model = Run("stage", options, total=10), torch.nn.Linear(2, 2)
    assert run.resume({"model": model}) == 0
    run.save_checkpoint({"model": model}, done=4)
    run.log(4, loss=torch.tensor(0.5))
    again = torch.nn.Linear(2, 2)
    assert Run("stage", options, total=10).resume({"model": again}) == 4
    assert torch.equal(again.weight, model.weight)
    assert '"loss": 0.5' in (run.folder / "metrics.jsonl").read_text()
    fresh = Run("stage", Options(options.work, options.out, restart=True), total=10)
    assert fresh.resume({"model": again}) == 0


def test_a_resumed_log_has_no_line_twice(tmp_path):
    options, model = Options(tmp_path, tmp_path), torch.nn.Linear(2, 2)
    run = Run("stage", options, total=10)
    for step in (1, 2, 3):
        run.log(step, loss=0.5)
        if step == 2:
            run.save_checkpoint({"model": model}, step)
    log = run.folder / "metrics.jsonl"
    log.write_text(log.read_text() + '{"done": 4, "lo')  # killed as it wrote the fourth
    assert Run("stage", options, total=10).resume({"model": model}) == 2
    assert [json.loads(line)["done"] for line in log.read_text().splitlines()] == [1, 2]
    assert Run("stage", replace(options, restart=True), total=10).resume({"model": model}) == 0
    assert log.read_text() == ""


@pytest.mark.parametrize("content", [b"", b"no state", None])
def test_a_state_that_is_none_is_refused(tmp_path, content):
    run = Run("stage", Options(tmp_path, tmp_path), total=10)
    if content is None:
        torch.save({"another": 1}, run.state_path)
    else:
        run.state_path.write_bytes(content)
    with pytest.raises(RequestError, match="state.pt is damaged.*--restart"):
        run.resume({"model": torch.nn.Linear(2, 2)})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_lets_the_step_end_and_the_state_be_kept(tmp_path, number):
    run, model = Run("stage", Options(tmp_path, tmp_path), total=10), torch.nn.Linear(2, 2)
    usual, steps = signal.getsignal(number), 0
    with pytest.raises(KeyboardInterrupt), run.whole_steps():
        while run.should_continue(steps):
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)  # as a launcher passes it on
            steps += 1
        run.save_checkpoint({"model": model}, steps)
    assert Run("stage", Options(tmp_path, tmp_path), total=10).resume({"model": model}) == 1
    assert signal.getsignal(number) is usual


def test_who_interrupts_again_does_not_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(training_run, "IMPATIENT_SECONDS", 0.0)
    run = Run("stage", Options(tmp_path, tmp_path), total=10)
    with pytest.raises(KeyboardInterrupt, match="^$"), run.whole_steps():
        os.kill(os.getpid(), signal.SIGINT)
        assert not run.should_continue(0)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second interrupt did nothing")


def test_a_run_ends_with_its_total_or_its_minutes(tmp_path):
    options = Options(work=tmp_path, out=tmp_path)
    run = Run("stage", options, total=2)
    assert run.should_continue(0) and run.should_continue(1) and not run.should_continue(2)
    late = Run("stage", Options(tmp_path, tmp_path, minutes=0.0), total=2)
    assert not late.should_continue(0)


def test_averages_move_towards_the_model():
    model, average = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    start = average.weight.detach().clone()
    update_average(average, model, decay=0.75)
    assert torch.allclose(average.weight, 0.75 * start + 0.25 * model.weight)


def test_unknown_and_untrained_stages_say_so(tmp_path):
    options = Options(work=tmp_path / "work", out=tmp_path / "out")
    with pytest.raises(RequestError, match="generator"):
        avatar.train("generater", options)
    with pytest.raises(BundleError, match="train avatar"):
        avatar.export_generator(options)


def test_a_run_that_goes_on_counts_the_seconds_of_those_before_it(tmp_path):
    first = Run("stage", Options(tmp_path, tmp_path), total=2)
    first.earlier_seconds = 1000.0
    first.save_checkpoint({}, done=1)
    again = Run("stage", Options(tmp_path, tmp_path), total=2)
    assert again.seconds < 1000
    assert again.resume({}) == 1
    assert again.seconds > 1000
