"""Ordinary differential equations as files hold them, each with a known solution."""

IN_TIME = {
    "damped oscillator": """
        coordinates: [t]
        time: [1, 4]
        equation: u_tt + 0.2*u_t + 1.01*u = 0
        exact: exp(-t/10)*cos(t)
        conditions:
          start: {kind: initial, value: exp(-0.1)*cos(1)}
          speed: {kind: velocity, value: -exp(-0.1)*(cos(1)/10 + sin(1))}
          later: {kind: observations, points: [[2], [7/2]], values: exp(-t/10)*cos(t)}
    """,
    "growth that saturates": """
        coordinates: [t]
        time: [0, 5]
        parameters: {r: 0.8, k: 1 + r}
        equation: u_t = r*u*(1 - u/k)
        exact: k/(1 + exp(-r*t))
        conditions: {start: {piece: initial, value: k/2}}
    """,
    "rotation": """
        coordinates: [t]
        outputs: [x, y]
        time: [0, 2*pi]
        equation: {first: x_t = -y, second: y_t = x}
        exact: {x: cos(t), y: sin(t)}
        conditions:
          start: {kind: initial, value: {x: 1, y: 0}}
          seen: {kind: observations, output: y, points: [[pi/2], [3]]}
    """,
    "rotation, written in one output and in two": """
        coordinates: [t]
        outputs: [x, y]
        time: [0, 2]
        equation: [x_tt = -x, y = -x_t]
        exact: [cos(t), sin(t)]
        conditions:
          start: {kind: initial, output: x, value: 1}
          rest: {kind: velocity, output: x, value: 0}
          zero: {kind: initial, output: y, value: 0}
    """,
    "a force and a coefficient that change": """
        coordinates: [t]
        time: [0, 1]
        parameters: {k: "1 + t"}
        equation: u_tt + k*u
        source: exact
        exact: t**3 + 1
        conditions: {start: {kind: initial, value: 1}, rest: {kind: velocity, value: 0}}
    """,
    "values at both ends": """
        coordinates: [t]
        time: [0.5, 2]
        equation: u_tt + u = 0
        exact: sin(t)
        conditions:
          start: {kind: initial, value: sin(1/2)}
          goal: {piece: final, value: sin(2)}
    """,
    "slope at the end": """
        coordinates: [t]
        time: [0, 1]
        equation: u_tt = 2
        exact: t**2 + t
        conditions:
          start: {kind: initial, value: 0}
          slope: {kind: neumann, piece: final, value: 3}
    """,
    "relations at both ends": """
        coordinates: [t]
        time: [0, 1]
        equation: u_ttt + u_t = 0
        exact: sin(t)
        conditions:
          start: {kind: relation, piece: initial, equation: ["u_t = 1 + u", "u_tt + u = 0"]}
          end: {kind: relation, piece: final, equation: u_tt = -sin(1)}
    """,
    "from the end backwards": """
        coordinates: [t]
        time: [-1, 1]
        equation: u_t = u
        exact: exp(t)
        conditions: {end: {piece: final, value: e}}
    """,
    "the ends share the conditions of a system": """
        coordinates: [t]
        outputs: [x, v]
        time: [0, 1]
        equation: [x_t = v, v_t = 6*t]
        exact: [t**3, 3*t**2]
        conditions:
          here: {kind: initial, output: x, value: 0}
          there: {piece: final, output: x, value: 1}
    """,
    "backwards in time, with space": """
        coordinates: [x, t]
        time: [0, 1]
        domain: {interval: [0, pi]}
        equation: u_t = -u_xx
        exact: exp(t)*sin(x)
        conditions: {ends: {value: 0}, end: {piece: final, value: e*sin(x)}}
    """,
}
