from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from pinnderiv.schema import RunConfig
from pinnderiv.schema.loss import BalanceKind
from pinnderiv.training.tensorboard import TensorBoardMonitor

METRICS = {"relative_l2": 0.01, "max_error": 0.1, "loss": 1e-3, "training_seconds": 2.0}


def read(directory: Any) -> EventAccumulator:
    events = EventAccumulator(str(directory), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    return events


def hyperparameter(directory: Any, name: str) -> float:
    metadata = read(directory).summary_metadata["_hparams_/session_start_info"]
    content = metadata.plugin_data.content
    info = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    return info.hparams[name].number_value


@pytest.fixture
def watched(small: Callable[..., Any]) -> Any:
    run = small(constraint="soft", case="wave", max_steps=4)
    monitor = TensorBoardMonitor(run.directory / "tensorboard", 1, "cpu")
    run.watchers = [monitor]
    built, _ = run.build()
    run._finish(built, None)
    return run


def test_every_curve_is_there(watched: Any) -> None:
    events = read(watched.directory / "tensorboard")
    assert set(events.Tags()["scalars"]) == {
        *(f"loss/{name}" for name in ("total", "equation", "walls", "initial", "initial_velocity")),
        "error/relative_l2",
        "error/largest",
        "optimiser/gradient_norm",
        "optimiser/learning_rate",
        "speed/points_per_second",
        "speed/steps_per_second",
        "memory/bytes",
    }
    assert [event.step for event in events.Scalars("loss/walls")] == [1, 2, 3, 4]
    assert [event.step for event in events.Scalars("error/relative_l2")] == [2, 4]
    total = events.Scalars("loss/total")[0].value
    weights = {"equation": 1, "walls": 100, "initial": 100, "initial_velocity": 10}
    parts = [weights[name] * events.Scalars(f"loss/{name}")[0].value for name in weights]
    assert total == pytest.approx(sum(parts), rel=1e-5)
    assert events.Scalars("memory/bytes")[0].value > 1e7


def test_weights_that_change_have_curves(small: Callable[..., Any]) -> None:
    def change(config: RunConfig) -> None:
        config.loss.balance, config.loss.balance_every = BalanceKind.gradient_norm, 2
        config.loss.causal = 0.5

    run = small(constraint="soft", change=change)
    run.watchers = [TensorBoardMonitor(run.directory / "tensorboard", 1, "cpu")]
    run.train()
    events = read(run.directory / "tensorboard")
    rows = (run.directory / "history.csv").read_text().splitlines()
    columns = rows[0].split(",")
    curves = ["weight/equation", "weight/walls", "weight/initial"]
    for name in (*curves, "causal/smallest_weight", "causal/epsilon"):
        values = [event.value for event in events.Scalars(name)]
        written = [float(row.split(",")[columns.index(name)]) for row in rows[1:]]
        assert written == pytest.approx(values, rel=1e-6) and len(values) == 4
    for name in curves:
        one, two, three, four = (event.value for event in events.Scalars(name))
        assert one == two and three == four and two != three
    assert 0.0 < events.Scalars("causal/smallest_weight")[-1].value < 1.0
    # what the curves show is what the loss was made of
    parts = [events.Scalars(f"loss/{n.partition('/')[2]}")[2].value for n in curves]
    weights = [events.Scalars(name)[2].value for name in curves]
    total = sum(weight * part for weight, part in zip(weights, parts, strict=True))
    assert events.Scalars("loss/total")[2].value == pytest.approx(total, rel=1e-5)


def test_figures_text_and_hyperparameters_end_in_the_same_run(small: Callable[..., Any]) -> None:
    run = small()
    monitor = TensorBoardMonitor(run.directory / "tensorboard", 1, "cpu")
    run.watchers = [monitor]
    built, _ = run.build()
    monitor.start(built.facts)
    figure = Figure()
    figure.add_subplot().plot([0, 1])
    monitor.finish(METRICS, {"solution": figure, "error": figure})
    monitor.close()
    directory = run.directory / "tensorboard"
    assert [path.is_file() for path in directory.iterdir()] == [True] * 2, "hparams made a sub-run"
    events = read(directory)
    assert set(events.Tags()["images"]) == {"solution", "error"}
    assert b"seed: 0" in events.Tensors("configuration/text_summary")[0].tensor_proto.string_val[0]
    assert events.Scalars("final/relative_l2")[0].value == pytest.approx(0.01)
    assert hyperparameter(directory, "seed") == 0
    # a resumed run's hyperparameters are those of its last part
    later = TensorBoardMonitor(directory, 1, "cpu")
    later.start(replace(built.facts, configuration={"seed": 7}, first_step=4))
    later.finish(METRICS, {})
    later.close()
    assert hyperparameter(directory, "seed") == 7
    assert len(list(directory.glob("*.hparams"))) == 1


def test_a_resumed_run_hides_what_is_taken_again(watched: Any) -> None:
    """Killed after step 4 with the checkpoint of the start the last: all steps come anew."""
    watched.max_steps, directory = 6, watched.directory / "tensorboard"
    for path in (watched.directory / "checkpoints").glob("*4.pt"):
        path.unlink()
    saved = watched.directory / "checkpoints"
    assert [path.name for path in saved.iterdir()] == ["step-00000000.pt"]
    watched.watchers = [TensorBoardMonitor(directory, 1, "cpu")]
    watched.resume()
    steps = [event.step for event in read(directory).Scalars("loss/total")]
    assert steps == [1, 2, 3, 4, 5, 6]
