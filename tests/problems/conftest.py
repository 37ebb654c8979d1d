import pytest

from pinnderiv.problems import CASES, Problem, heat_case, poisson_case, wave_case

# Every named case as it comes, and what can be chosen about them.
PROBLEMS: dict[str, Problem] = {
    **{name: build(name) for name, build in CASES.items()},
    "heat 2-d": heat_case(dimension=2),
    "heat 3-d": heat_case(dimension=3, diffusivity=[0.1, 0.2, 0.05]),
    "heat manufactured 2-d": heat_case("heat_manufactured", 2, 0.7, final_time=0.5),
    "heat elsewhere": heat_case(
        frequencies=[1, 3], amplitudes=[1.0, -0.4], lower=-1.0, upper=[2.5], final_time=2.0
    ),
    "heat1d_engd neighbour": heat_case("heat1d_engd", diffusivity=0.4, frequencies=[2]),
    "heat2d_ms neighbour": heat_case("heat2d_ms", frequencies=[[15, 2]]),
    "wave 2-d": wave_case(dimension=2, speed=1.5, frequencies=[[1, 2], 1]),
    "wave travelling 2-d": wave_case("wave_travelling", 2, frequencies=[[0.5, 1]], lower=0.2),
    "wave1d_c neighbour": wave_case("wave1d_c", speed=1.3, frequencies=[2, 3]),
    "wave1d_c on another box": wave_case("wave1d_c", lower=-1, upper=1, final_time=0.25),
    **{f"poisson {d}-d": poisson_case(dimension=d) for d in (1, 3, 7)},
    **{f"poisson_nd {d}-d": poisson_case("poisson_nd", d) for d in (1, 10)},
    "poisson elsewhere": poisson_case(
        dimension=3, frequencies=[[1, 2, 1]], amplitudes=[2.0], lower=[-1, 0, 2], upper=3
    ),
    "poisson5d_cos neighbour": poisson_case("poisson5d_cos", frequencies=[0.7]),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "problem" in metafunc.fixturenames:
        metafunc.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
