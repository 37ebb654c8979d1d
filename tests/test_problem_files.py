"""Problem files: what YAML can say and no problem is, and the command line around them."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

from pinnderiv.app import main
from pinnderiv.errors import ConfigurationError
from pinnderiv.problem_files import problem_files, read_problem
from pinnderiv.training import seeding

CONF = Path(__file__).resolve().parents[1] / "conf" / "problem"
HEAT = """
coordinates: [x, t]
time: [0, 1]
domain: {interval: [0, pi]}
parameters: {nu: 0.5}
equation: u_t = nu*u_xx
exact: exp(-nu*t)*sin(x)
conditions:
  ends: {value: 0}
  start: {kind: initial, value: sin(x)}
"""
IN_TIME = """
coordinates: [t]
time: [0, 1]
parameters: {k: 4.0}
equation: u_tt + k*u = 0
exact: sin(2*t)
conditions: {start: {kind: initial, value: 0}, goal: {piece: final, value: sin(2)}}
"""
SMALL = ["network.width=6", "network.depth=1", "sampler.points.interior=16"]
QUIET = ["monitor=plain", "monitor.figures=false", "optimiser=adam", "training.max_seconds=null"]
RUN = [*SMALL, *QUIET, "training.max_steps=2"]

pytestmark = pytest.mark.xdist_group("app")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    monkeypatch.chdir(tmp_path)

    def act(text: str | bytes, name: str = "heat.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return act


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    root, state, threads = logging.getLogger(), seeding.random_state(), torch.get_num_threads()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def act(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["pinnderiv", *arguments])
        found = 0
        try:
            main()
        except SystemExit as end:
            found = end.code
        printed = capsys.readouterr()
        assert found == code, printed
        assert "Traceback" not in printed.err
        return printed.err if code else printed.out

    yield act
    root.handlers[:], root.level = handlers, level
    seeding.restore_random_state(state)
    torch.set_num_threads(threads)
    GlobalHydra.instance().clear()


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("lacks coordinates", ""),
        ("lacks coordinates", "# nothing\n"),
        ("lacks equation", HEAT.replace("equation: u_t = nu*u_xx", "equation:")),
        ("lacks domain: .* Only a problem in t alone", "coordinates: [x]\nequation: u_x = 0\n"),
        ("lacks domain: the shape", HEAT.replace("domain: {interval: [0, pi]}\n", "")),
        ("coordinates must be a list of names", "coordinates: t\ntime: [0, 1]\nequation: u_t\n"),
        ("lacks equation", "coordinates: [t]\ntime: [0, 1]\n"),
        ("must be a mapping", "- a\n- b\n"),
        ("line 2, column 2 is no YAML", "a: [1, 2\nb: }"),
        ("line 2, column 1 is no YAML: .*cannot start", "a:\n\t- b"),
        ("found duplicate key name", "name: a\nname: b\n"),
        ("no key problem.equations. Did you mean problem.equation", HEAT + "equations: u_x\n"),
        ("coordinates must be a list of names", HEAT.replace("[x, t]", "x")),
        ("outputs must be a list of names", HEAT + "outputs: {u: 1}\n"),
        ("parameters must be a mapping", HEAT.replace("{nu: 0.5}", "[nu]")),
        ("conditions must be a mapping", HEAT.partition("conditions")[0] + "conditions: [1]\n"),
        ("title must be text", HEAT + "title: [a]\n"),
        ("reference must be the name of a file", HEAT + "reference: 3\n"),
        ("the key True, .*YAML reads on", "on: 1\n" + HEAT),
        ("the key conditions.False, ", HEAT.replace("ends:", "no:")),
        ("the key 1, which is no text", "1: 2\n" + HEAT),
        ("the key None, which is no text", "~: 2\n" + HEAT),
        ("the key _target_: nothing .* can name code to run", "_target_: os.getcwd\n" + HEAT),
        ("the key _convert_: nothing", "_convert_: none\n" + HEAT),
        ("the key parameters.nu._target_: no", HEAT.replace("0.5", "{_target_: os.getcwd}")),
        ("the key conditions.ends._partial_", HEAT.replace("{value: 0}", "{_partial_: true}")),
        ("the key parameters.nu.1._args_", HEAT.replace("0.5", "[1, {_args_: [1]}]")),
        ("the key parameters.nu._target_", HEAT.replace("0.5", "{<<: {_target_: os.getcwd}}")),
        ("the key exact.0.1._recursive_", HEAT + "exact: [[1, {_recursive_: true}]]\n"),
        ("the key _here: keys and names begin", "_here: 1\n" + HEAT),
        ("the key hydra: .* on the command line", "hydra: {run: {dir: /}}\n" + HEAT),
        ("the key conditions.ends.hydra", HEAT.replace("{value: 0}", "{hydra: 1}")),
        ("title is '..oc.env:HOME.', and a problem", "title: ${oc.env:HOME}\n" + HEAT),
        ("conditions.start.value is ", HEAT.replace("value: sin(x)", "value: '1 + ${seed}'")),
        ("parameters.nu.1 is ", HEAT.replace("0.5", "[1, '${name}']")),
        ("folder is ", "folder: '${oc.env:HOME}'\n" + HEAT),
        ("title is ", "title: ${pinnderiv.problem_folder:}\n" + HEAT),
        ("no YAML: could not determine a constructor", "name: !!python/name:os.getcwd\n" + HEAT),
        ("no YAML", HEAT + "---\n" + HEAT),
        ("is no YAML: found unhashable key", "? [1, 2]\n: 3\n"),
        ("nested too deep", "name: " + "[" * 3000 + "]" * 3000),
        ("holds itself", "name: &a [*a]\n"),
        ("other defaults", "defaults: [heat]\n" + HEAT),
    ],
)
def test_what_is_no_problem(message: str, text: str, write: Callable[..., Path]) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_problem(write(text))


def test_aliases_do_not_grow_without_bound(write: Callable[..., Path]) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]"]
    for n in range(12):
        lines.append(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 8)}]")
    with pytest.raises(ConfigurationError, match="holds more than"):
        read_problem(write("\n".join(lines)))


def test_what_is_no_text(write: Callable[..., Path]) -> None:
    with pytest.raises(ConfigurationError, match=r"is no YAML: .*utf-8"):
        read_problem(write(b"name: \xff\xfe\n"))
    with pytest.raises(ConfigurationError, match="is no YAML"):
        read_problem(write(b"name: \x00\n"))
    with pytest.raises(ConfigurationError, match="there is no problem file"):
        read_problem(write(HEAT).parent)
    with pytest.raises(ConfigurationError, match=r"there is no problem file 'none\.yaml'"):
        read_problem(Path("none.yaml"))


def test_a_mark_of_the_order_of_bytes_is_no_text(write: Callable[..., Path]) -> None:
    assert read_problem(write(b"\xef\xbb\xbf" + HEAT.encode())).name == "heat"


def test_the_true_value_of_a_parameter(write: Callable[..., Path]) -> None:
    read = read_problem(write(HEAT.replace("nu: 0.5", "nu: {trainable: 1, true: 0.5}")))
    assert dict(read.parameters.nu) == {"trainable": 1, "true": 0.5}


def test_names_and_folders(write: Callable[..., Path], tmp_path: Path) -> None:
    read = read_problem(write(HEAT, "some where/two words.yaml"))
    assert (read.name, read.folder) == ("two words", str(tmp_path / "some where"))
    copied = "defaults:\n  - /schema/problem/pde@_here_\n  - _self_\nname: mine\n" + HEAT
    assert read_problem(write(copied)).name == "mine"


def test_a_copy_of_a_file_of_the_library_finds_its_table(
    write: Callable[..., Path], call: Callable[..., str], tmp_path: Path
) -> None:
    write((CONF / "burgers.yaml").read_bytes(), "mine.yaml")
    call("problem=mine.yaml", *RUN, f"hydra.run.dir={tmp_path}/run")
    assert trained(tmp_path / "run")["relative_l2"] > 0


def test_a_folder_is_not_looked_up(write: Callable[..., Path], tmp_path: Path) -> None:
    read = read_problem(write(HEAT, "${oc.env:HOME}/${seed}.yaml"))
    assert (read.name, read.folder) == ("${seed}", str(tmp_path / "${oc.env:HOME}"))


def test_arguments_are_rewritten(write: Callable[..., Path]) -> None:
    write(HEAT)
    write(HEAT, "a-b.yaml")
    write(HEAT, "a_b.yaml")
    write(HEAT, "some, where/heat.yml")
    arguments, options = problem_files(
        ["seed=1", "problem=heat.yaml,poisson,a-b.yaml,a_b.yaml", "loss.weights.ends=3"]
    )
    assert arguments[0] == "seed=1" and arguments[2] == "++loss.weights.ends=3"
    names = arguments[1].removeprefix("problem=").split(",")
    assert names[1] == "poisson" and set(options) == {names[0], *names[2:]}
    assert len(options) == 3
    (argument,), options = problem_files(["problem='some, where/heat.yml'"])
    assert argument == f"problem={next(iter(options))}"
    assert problem_files(["+loss.weights.a=1", "problem=heat"]) == (
        ["+loss.weights.a=1", "problem=heat"],
        {},
    )


def trained(folder: Path) -> dict[str, object]:
    (found,) = folder.rglob("metrics.json")
    return json.loads(found.read_text())


def test_a_file_is_trained_evaluated_and_resumed(
    write: Callable[..., Path], call: Callable[..., str], tmp_path: Path
) -> None:
    write(HEAT, "some where/my heat.yaml")
    out = f"hydra.run.dir={tmp_path}/run"
    call(
        "problem='some where/my heat.yaml'",
        "problem.parameters.nu=0.1",
        "loss.weights.ends=7",
        "sampler.points.ends=5",
        "sampler.points.initial=3",
        "constraint=soft",
        *RUN,
        out,
    )
    found = trained(tmp_path / "run")
    assert found["problem"] == "my heat" and found["steps"] == 2
    assert found["points"] == 16 + 5 + 3
    assert found["loss_weights"] == {"equation": 1.0, "ends": 7.0, "start": 100.0}
    # the file is not needed any more
    (tmp_path / "some where/my heat.yaml").unlink()
    call("mode=evaluate", f"run={tmp_path}/run", "evaluate.quantities=[u,u_x]")
    call(f"resume={tmp_path}/run", "training.max_steps=4")
    assert trained(tmp_path / "run")["steps"] == 4


def test_an_equation_in_time_alone(
    write: Callable[..., Path], call: Callable[..., str], tmp_path: Path
) -> None:
    write(IN_TIME, "swing.yaml")
    out, more = f"hydra.run.dir={tmp_path}/run", ["monitor.figures=true", "sampler.points.goal=1"]
    call("problem=swing.yaml", *RUN, *more, "problem.parameters.k=4", out)
    found = trained(tmp_path / "run")
    assert (found["coordinates"], found["constraint"], found["points"]) == (["t"], "hard", 16)
    assert (tmp_path / "run/solution.png").exists()
    call("mode=evaluate", f"run={tmp_path}/run", "evaluate.quantities=[u,u_tt]", "evaluate.grid=3")
    with np.load(tmp_path / "run/evaluation.npz") as table:
        np.testing.assert_allclose(table["u"][[0, 2]], [0, np.sin(2)], atol=1e-12)
    call(f"resume={tmp_path}/run", "training.max_steps=4")
    assert trained(tmp_path / "run")["steps"] == 4
    call("problem=swing.yaml", *RUN, "constraint=soft", f"hydra.run.dir={tmp_path}/soft")
    assert set(trained(tmp_path / "soft")["loss_terms"]) == {"equation", "start", "goal"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_several_files_and_seeds(
    dtype: str, write: Callable[..., Path], call: Callable[..., str], tmp_path: Path
) -> None:
    write(HEAT)
    write(HEAT.replace("sin(x)", "sin(2*x)").replace("-nu*t", "-4*nu*t"), "other.yaml")
    sweep = f"hydra.sweep.dir={tmp_path}/sweep"
    call("-m", "problem=heat.yaml,other.yaml", "seed=0,1", f"dtype={dtype}", *RUN, sweep)
    found = [trained(tmp_path / "sweep" / str(n)) for n in range(4)]
    assert [(each["problem"], each["seed"]) for each in found] == [
        ("heat", 0),
        ("heat", 1),
        ("other", 0),
        ("other", 1),
    ]
    assert {each["dtype"] for each in found} == {dtype}


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("loss.weights has an entry 'endz', which is none of", ["loss.weights.endz=3"]),
        ("sampler.points has an entry 'endz', which is none of", ["sampler.points.endz=3"]),
        ("there is no key problem.parameters.mu", ["problem.parameters.mu=3"]),
        ("parameters.nu: unknown name 'foo'", ["problem.parameters.nu=foo"]),
        ("conditions.ends.piece cannot be 'wals'", ["+problem.conditions.ends.piece=wals"]),
        ("conditions.ends.value", ["problem.conditions.ends.value='???'"]),
        ("nosuch", ["problem.equation='${nosuch}'"]),
        ("problem._target_ cannot be 'os.getcwd'", ["problem._target_=os.getcwd"]),
        ("problem._target_ cannot be 'a.b'", ["++problem={_target_: a.b}"]),
        (
            "problem.parameters.mu._target_ cannot be given: nothing",
            ["+problem.parameters.mu={_target_: os.getcwd}"],
        ),
        ("problem.exact.0._args_ cannot be given", ["problem.exact=[{_args_: [1]}]"]),
        (
            "problem.exact._target_ cannot be given",
            ["problem.exact='${oc.decode:\"{_target_: os.getcwd}\"}'"],
        ),
        ("no key problem._partial_", ["+problem._partial_=true"]),
    ],
)
def test_what_the_command_line_cannot_say(
    message: str, arguments: list[str], write: Callable[..., Path], call: Callable[..., str]
) -> None:
    write(HEAT)
    assert message in call("problem=heat.yaml", *arguments, *RUN, code=2)


def test_a_problem_of_the_library_has_weights_by_names_too(call: Callable[..., str]) -> None:
    assert "ends: 3" in call("problem=maxwell", "loss.weights.ends=3", "--cfg", "job")


@pytest.mark.parametrize("argument", ["_target_=os.getcwd", "upper={_target_: os.getcwd}"])
def test_a_problem_of_the_library_runs_no_code_either(
    argument: str, call: Callable[..., str]
) -> None:
    assert "can name code to run" in call("problem=heat", f"problem.{argument}", *RUN, code=2)


def test_a_problem_of_a_checkpoint_runs_no_code_either(
    write: Callable[..., Path], call: Callable[..., str], tmp_path: Path
) -> None:
    write(HEAT)
    call("problem=heat.yaml", *RUN, f"hydra.run.dir={tmp_path}/run")
    (newest,) = [*(tmp_path / "run/checkpoints").glob("step-*2.pt")]
    saved = torch.load(newest, weights_only=True)
    saved["config"]["problem"]["exact"] = {"_target_": "os.mkdir", "path": str(tmp_path / "made")}
    torch.save(saved, newest)
    said = call(f"resume={tmp_path}/run", "training.max_steps=4", code=2)
    assert "problem.exact._target_ cannot be given" in said
    assert not (tmp_path / "made").exists()


def test_an_option_of_the_users_own_is_built_by_what_it_names(
    call: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "conf/problem").mkdir(parents=True)
    text = "_target_: pinnderiv.problems.poisson.poisson_case\ncase: poisson\n"
    (tmp_path / "conf/problem/mine.yaml").write_text(text)
    folder = f"--config-dir={tmp_path}/conf"
    call(folder, "problem=mine", *RUN, f"hydra.run.dir={tmp_path}/run")
    assert trained(tmp_path / "run")["problem"] == "poisson"
