"""Checkpoints, logs, limits and interrupts of a training run."""

import json
import os
import signal
from dataclasses import replace

import pytest
import torch

from tmsa_core.errors import RequestError
from tmsa_core.training import run as training_run
from tmsa_core.training.run import Options, Run, update_average


def test_a_run_resumes_from_its_checkpoint_unless_restarted(tmp_path):
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


def test_a_resumed_log_has_each_step_once(tmp_path):
    options, model = Options(tmp_path, tmp_path), torch.nn.Linear(2, 2)
    run = Run("stage", options, total=10)
    for step in (1, 2, 3):
        run.log(step, loss=0.5)
        if step == 2:
            run.save_checkpoint({"model": model}, step)
    log = run.folder / "metrics.jsonl"
    log.write_text(log.read_text() + '{"done": 4, "lo')  # killed while writing the fourth line
    assert Run("stage", options, total=10).resume({"model": model}) == 2
    assert [json.loads(line)["done"] for line in log.read_text().splitlines()] == [1, 2]
    assert Run("stage", replace(options, restart=True), total=10).resume({"model": model}) == 0
    assert log.read_text() == ""


@pytest.mark.parametrize("content", [b"", b"no state", None])
def test_an_invalid_checkpoint_is_refused(tmp_path, content):
    run = Run("stage", Options(tmp_path, tmp_path), total=10)
    if content is None:
        torch.save({"another": 1}, run.state_path)
    else:
        run.state_path.write_bytes(content)
    with pytest.raises(RequestError, match=r"state.pt is damaged.*--restart"):
        run.resume({"model": torch.nn.Linear(2, 2)})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_lets_the_step_finish_and_be_saved(tmp_path, number):
    run, model = Run("stage", Options(tmp_path, tmp_path), total=10), torch.nn.Linear(2, 2)
    usual, steps = signal.getsignal(number), 0
    with pytest.raises(KeyboardInterrupt), run.whole_steps():
        while run.should_continue(steps):
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)  # launchers pass the signal on, so it may arrive twice
            steps += 1
        run.save_checkpoint({"model": model}, steps)
    assert Run("stage", Options(tmp_path, tmp_path), total=10).resume({"model": model}) == 1
    assert signal.getsignal(number) is usual


def test_a_second_interrupt_stops_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(training_run, "IMPATIENT_SECONDS", 0.0)
    run = Run("stage", Options(tmp_path, tmp_path), total=10)
    with pytest.raises(KeyboardInterrupt, match=r"^$"), run.whole_steps():
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


def test_a_resumed_run_counts_the_seconds_of_earlier_runs(tmp_path):
    first = Run("stage", Options(tmp_path, tmp_path), total=2)
    first.earlier_seconds = 1000.0
    first.save_checkpoint({}, done=1)
    again = Run("stage", Options(tmp_path, tmp_path), total=2)
    assert again.seconds < 1000
    assert again.resume({}) == 1
    assert again.seconds > 1000
