"""Systems, relations and interfaces as files hold them, each with a known solution."""

SYSTEMS = {
    "Stokes with slip": """
        coordinates: [x, y]
        outputs: [u, v, p]
        domain: {box: {lower: [-1, -1], upper: [1, 1]}}
        equation: [laplacian(u) = p_x, laplacian(v) = p_y, u_x + v_y = 0]
        exact: [y, -x, "1"]
        conditions:
          no_slip: {piece: x_min, value: {u: y, v: 1}}
          turning: {kind: relation, piece: x_max, equation: ["n_x*u + n_y*v = y", "u_n = 0"]}
          along: {kind: neumann, piece: y_max, output: u, value: 1}
          vertical: {piece: y_max, output: v, value: -x}
          bottom: {piece: y_min}
          pressure: {kind: observations, output: p, points: [[0, 0]], values: [1]}
    """,
    "two materials": """
        coordinates: [x, y]
        outputs: [u1, u2]
        domain: {ball: {radius: 2, name: rim}}
        parameters: {k1: 1, k2: 2, inside: "heaviside(1 - x**2 - y**2)"}
        equation: {inner: inside*(k1*laplacian(u1) - 4), outer: (1 - inside)*(k2*laplacian(u2) - 4)}
        exact: {u1: x**2 + y**2, u2: (x**2 + y**2 + 1)/2 + log(1)}
        conditions:
          rim: {piece: rim, output: u2, value: 5/2}
          join:
            kind: interface
            shape: {ball: {radius: 1}}
            equation: [u1 = u2, k1*u1_n = k2*u2_n]
    """,
    "layers in time": """
        coordinates: [x, t]
        outputs: [a, b]
        time: [0, 1]
        domain: {interval: [0, 2]}
        equation: [a_t = a_xx - 1, b_t = b_xx + 2*t]
        exact: [x**2 + t - 2*t*0 + 0*x, x*0 + 1 + t**2]
        source: ["0", "0"]
        conditions:
          left: {piece: x_min, output: a, value: t}
          right: {piece: x_max, output: b, value: 1 + t**2}
          start: {kind: initial, value: {a: x**2, b: 1}}
          join:
            kind: interface
            shape: {interval: [0.5, 1.5]}
            where: x > 1
            equation: ["a + b = 13/4 + t + t**2", "a_n = 3 + b_n"]
    """,
    "radiation": """
        coordinates: [x, y]
        domain: {ball: {radius: 1}}
        equation: laplacian(u) = 4*u**3 - 4*(x**2 + y**2)**3 + 4
        exact: x**2 + y**2
        conditions: {skin: {kind: relation, piece: sphere, equation: u_n + u**4 = 3}}
    """,
    "eikonal": """
        coordinates: [x, y]
        domain: {difference: [{box: {lower: -2, upper: 2}}, {ball: {radius: 1, name: source}}]}
        equation: dot(grad(u), grad(u)) = 1
        exact: sqrt(x**2 + y**2) - 1
        conditions: {source: {piece: source, value: 0}}
    """,
    "clamped plate": """
        coordinates: [x, y]
        domain: {ball: {radius: 1}}
        equation: biharmonic(u) = 64
        exact: (1 - x**2 - y**2)**2
        conditions: {edge: {value: 0}, slope: {kind: neumann, value: 0}}
    """,
}
