"""Problems as files hold them, each with a known solution: every kind of condition and of domain.

Values are written out, and not left to `exact`, wherever that is what a case is about.
"""

from tests.problems.pde_in_time import IN_TIME
from tests.problems.pde_systems import SYSTEMS

LINES = {
    "interval": """
        coordinates: [x]
        domain: {interval: [-1, 2]}
        equation: u_xx = 6*x
        exact: x**3
        conditions: {left: {piece: x_min, value: -1}, right: {piece: x_max, value: 8}}
    """,
    "named interval, numbers as text": """
        coordinates: [s]
        domain: {interval: {lower: 0, upper: pi/2, name: rod}}
        equation: u_ss + u = 0
        exact: sin(s)
        conditions:
          cold: {piece: s_min, value: 0}
          hot: {kind: neumann, piece: s_max, value: 0}
    """,
    "order one": """
        coordinates: [x]
        domain: {interval: [1, 2]}
        parameters: {a: 2, b: "a/2"}
        equation: x*u_x = a*b*u
        exact: x**2
        conditions: {start: {piece: x_min, value: 1}}
    """,
    "order three, and a slope": """
        coordinates: [x]
        domain: {interval: [0, 1]}
        equation: u_xxx = 6
        exact: x**3
        conditions:
          ends: {piece: boundary, value: x}
          slope: {kind: robin, piece: x_min, alpha: 0, beta: -1, value: 0}
    """,
    "all kinds on one interval": """
        coordinates: [x, t]
        time: [0.5, 2]
        domain: {interval: [0, 1]}
        equation: u_tt = u_xx
        exact: cos(x)*sin(t) + x*t
        conditions:
          left: {kind: robin, piece: x_min, alpha: "1 + t", beta: 2, value: (1 + t)*sin(t) - 2*t}
          right: {kind: neumann, piece: x_max, value: t - sin(1)*sin(t)}
          start: {kind: initial, value: cos(x)*sin(0.5) + x/2}
          speed: {kind: velocity, value: cos(x)*cos(0.5) + x}
          probe:
            kind: observations
            points: [[0.5, 1], ["1/4", "3/2"]]
            values: ["cos(1/2)*sin(1) + 1/2", "cos(1/4)*sin(3/2) + 3/8"]
          trace: {kind: observations, points: [[0.1, 0.7]], values: cos(x)*sin(t) + x*t}
          flux:
            kind: relation
            piece: x_max
            equation: u_n = u + (t - x*t) - sin(t)*(sin(x) + cos(x))
    """,
}

PERIODIC = {
    "periodic, order two": """
        coordinates: [x, t]
        time: [0, 1]
        domain: {interval: [0, 2*pi]}
        equation: u_t = u_xx
        exact: exp(-t)*sin(x)
        conditions:
          circle: {kind: periodic, axis: x}
          start: {kind: initial, value: sin(x)}
    """,
    "periodic, order three, nonlinear": """
        coordinates: [x, t]
        time: [0, 1]
        domain: {interval: [-pi, pi]}
        equation: u_t + 6*u*u_x + u_xxx = 6*sin(x + t)*cos(x + t)
        exact: sin(x + t)
        conditions:
          circle: {kind: periodic, axis: x}
          start: {kind: initial, value: sin(x)}
    """,
    "periodic along one of two axes": """
        coordinates: [x, y]
        domain: {box: {lower: [0, 0], upper: [1, 1]}}
        equation: -laplacian(u) = 4*pi**2*y*sin(2*pi*x)
        exact: y*sin(2*pi*x)
        conditions:
          wrap: {kind: periodic, axis: x}
          floor: {piece: y_min, value: 0}
          lid: {kind: neumann, piece: y_max, value: sin(2*pi*x)}
    """,
    "periodic system": """
        coordinates: [x, t]
        outputs: [re, im]
        time: [0, 1]
        domain: {interval: [-pi, pi]}
        equation: {real: re_t = -im_xx, imaginary: im_t = re_xx}
        exact: {re: cos(x)*cos(t), im: -cos(x)*sin(t)}
        conditions:
          circle: {kind: periodic, axis: x}
          start: {kind: initial, value: {re: cos(x), im: 0}}
    """,
    "periodic in one output": """
        coordinates: [x, t]
        outputs: [u, v]
        time: [0, 1]
        domain: {interval: [0, 1]}
        equation: [u_t + u_x = 0, v_t = v_xx + u]
        source: ["0", "2*x*0 + x**2 - 2*t - sin(2*pi*(x - t))"]
        exact: [sin(2*pi*(x - t)), x**2*t]
        conditions:
          wrap: {kind: periodic, axis: x, output: u}
          start_u: {kind: initial, output: u, value: sin(2*pi*x)}
          start_v: {kind: initial, output: v, value: 0}
          ends: {output: v, value: x*t}
    """,
}

PLANE = {
    "box with a condition on each side": """
        coordinates: [x, y]
        domain: {box: {lower: [0, -1], upper: [2, 1]}}
        equation: laplacian(u) = 6*x
        exact: x**3 + x*y
        conditions:
          west: {piece: x_min, value: 0}
          east: {kind: neumann, piece: x_max, value: 12 + y}
          south: {kind: robin, piece: y_min, alpha: 3, value: "3*(x**3 - x) - x"}
          north: {kind: robin, piece: y_max, alpha: x, beta: "y + 1", value: "x**4 + x**2 + 2*x"}
    """,
    "box, parts of a side": """
        coordinates: [x, y]
        domain: {box: {lower: 0, upper: 1}}
        equation: laplacian(u) = 2
        exact: x**2 + y
        conditions:
          inlet: {piece: x_min, where: 0.5 < y <= 3/4, value: y}
          rest: {kind: neumann, piece: x_min, where: not (y > 0.5 and y <= 3/4), value: 0}
          others: {piece: boundary, where: x > 0, value: x**2 + y}
    """,
    "coordinates of other names": """
        coordinates: [r, phi]
        domain: {box: {lower: [1, 0], upper: [2, pi]}}
        equation: r*d(r*u_r, r) + u_phiphi = 0
        exact: r*cos(phi)
        conditions:
          inner: {piece: r_min}
          outer: {piece: r_max}
          slit: {piece: phi_min}
          far: {piece: phi_max}
    """,
    "disc": """
        coordinates: [x, y]
        domain: {ball: {center: [1, 2], radius: 0.5}}
        equation: -laplacian(u) = 4
        exact: 1/4 - (x - 1)**2 - (y - 2)**2
        conditions: {rim: {piece: sphere, value: 0}}
    """,
    "disc, two kinds on the rim": """
        coordinates: [x, y]
        domain: {ball: {radius: 2, name: coin}}
        equation: laplacian(u) = 0
        exact: x**2 - y**2
        conditions:
          upper: {piece: coin, where: y >= 0, value: 4 - 2*y**2}
          lower: {kind: neumann, piece: coin, where: y < 0, value: x**2 - y**2}
    """,
    "ellipse": """
        coordinates: [x, y]
        domain: {ellipse: {center: [1, 0], radii: [2, 1]}}
        equation: laplacian(u) = -5/2
        exact: 1 - (x - 1)**2/4 - y**2
        conditions: {rim: {piece: ellipse, value: 0}}
    """,
    "ellipse, turned by a right angle": """
        coordinates: [x, y]
        domain: {ellipse: {radii: [2, 1], angle: pi/2, name: egg}}
        equation: laplacian(u) = -5/2
        exact: 1 - x**2 - y**2/4
        conditions: {rim: {piece: egg, value: 0}}
    """,
    "polygon": """
        coordinates: [x, y]
        domain: {polygon: {vertices: [[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]]}}
        equation: laplacian(u) = 0
        exact: x*y
        conditions:
          bottom: {piece: edge_0, value: 0}
          right: {kind: neumann, piece: edge_1, value: y}
          step: {piece: edge_2, value: x}
          riser: {kind: neumann, piece: edge_3, value: y}
          top: {piece: edge_4, value: 2*x}
          left: {kind: neumann, piece: edge_5, value: -y}
    """,
    "half of a disc": """
        coordinates: [x, y]
        domain:
          intersection:
            - ball: {radius: 1}
            - half_space: {point: [0, 0], normal: [0, -1], name: diameter}
        equation: laplacian(u) = 4
        exact: x**2 + y**2
        conditions:
          arc: {piece: sphere, value: 1}
          cut: {kind: neumann, piece: diameter, value: 0}
    """,
    "quarter by a plane": """
        coordinates: [x, y]
        domain:
          difference:
            - box: {lower: [0, 0], upper: [1, 1]}
            - half_space: {point: [1, 0], normal: [-1, -1]}
        equation: laplacian(u) = 0
        exact: x + y
        conditions:
          sides: {piece: walls, value: x + y}
          cut: {kind: neumann, piece: plane, value: sqrt(2)}
    """,
    "union": """
        coordinates: [x, y]
        domain:
          union:
            - box: {lower: [0, 0], upper: [2, 1], name: hall}
            - ball: {center: [2, 0.5], radius: 0.5, name: apse}
        equation: laplacian(u) = 4
        exact: (x - 2)**2 + (y - 1/2)**2
        conditions: {hall: {piece: hall}, apse: {piece: apse, value: 1/4}}
    """,
    "holes, one named for two": """
        coordinates: [x, y]
        domain:
          difference:
            - box: {lower: [-2, -2], upper: [2, 2], name: plate}
            - ball: {center: [1, 0], radius: 0.5, name: holes}
            - ball: {center: [-1, 0], radius: 0.5, name: holes}
            - ellipse: {center: [0, 1.5], radii: [0.4, 0.2], name: slot}
        equation: div((1 + x**2)*grad(u)) = 4*x*y
        exact: x*y + y*0
        source: "x*y*2 - 4*x*y"
        conditions:
          plate: {piece: plate_x_min, value: -2*y}
          sides: {piece: plate, where: x > -2}
          holes: {kind: neumann, piece: holes, where: x > 0, value: "-2*(y*(x - 1) + x*y)"}
          others: {piece: holes, where: x < 0, value: x*y}
          slot: {piece: slot}
    """,
    "a union less an intersection": """
        coordinates: [x, y]
        domain:
          difference:
            - union:
                - box: {lower: [-1, -1], upper: [1, 1], name: square}
                - ball: {center: [1, 0], radius: 0.5, name: nose}
            - intersection:
                - ball: {radius: 0.5, name: lens}
                - half_space: {point: [0, 0], normal: [1, 0], name: cut}
        equation: laplacian(u) = 2
        exact: x**2 - y
        conditions:
          square: {piece: square}
          nose: {piece: nose}
          lens: {piece: lens}
          cut: {kind: neumann, piece: cut, value: 0}
    """,
}

SPACE = {
    "ball in space": """
        coordinates: [x, y, z]
        domain: {ball: {center: [1, 0, 0], radius: 2}}
        equation: laplacian(u) = 6
        exact: (x - 1)**2 + y**2 + z**2
        conditions:
          skin: {kind: neumann, value: 4}
          pin: {kind: observations, points: [[1, 0, 0]], values: [0]}
    """,
    "ellipsoid": """
        coordinates: [x, y, z]
        domain: {ellipse: {radii: [1, 2, 1]}}
        equation: laplacian(u) = 9/2
        exact: x**2 + y**2/4 + z**2
        conditions: {skin: {value: 1}}
    """,
    "ball in five dimensions": """
        coordinates: [x1, x2, x3, x4, x5]
        domain: {ball: {radius: 1}}
        equation: laplacian(u) = 10
        exact: x1**2 + x2**2 + x3**2 + x4**2 + x5**2
        conditions: {skin: {kind: robin, piece: sphere, alpha: 1, beta: 1, value: 3}}
    """,
    "shell": """
        coordinates: [x, y, z, t]
        time: [0, 1]
        domain: {difference: [{ball: {radius: 2, name: outer}}, {ball: {radius: 1, name: inner}}]}
        equation: u_t = laplacian(u) - 6
        exact: x**2 + y**2 + z**2
        conditions:
          outer: {piece: outer, value: 4}
          inner: {kind: neumann, piece: inner, value: -2}
          start: {kind: initial, value: x**2 + y**2 + z**2}
    """,
    "box in six dimensions": """
        coordinates: [x1, x2, x3, x4, x5, x6]
        domain: {box: {lower: -1, upper: 1}}
        equation: laplacian(u) = 2
        exact: x1**2 + x2*x3 + x6
        conditions: {last: {piece: x6_max, value: x1**2 + x2*x3 + 1}, walls: {piece: boundary}}
    """,
    "drum": """
        coordinates: [x, y, t]
        time: [0, 2]
        domain: {ball: {radius: 1}}
        equation: u_tt = laplacian(u) - 4
        exact: t*x + x**2 + y**2
        conditions:
          rim: {piece: sphere, where: t > 1, value: t*x + 1}
          early: {kind: neumann, piece: sphere, where: t <= 1, value: t*x + 2}
          start: {kind: initial, where: x > 0, value: x**2 + y**2}
          other_half: {kind: initial, where: x <= 0, value: x**2 + y**2}
          speed: {kind: velocity, value: x}
    """,
    "moving in a triangle": """
        coordinates: [x, y, t]
        time: [0, 1]
        domain: {polygon: {vertices: [[0, 0], [1, 0], [0, 1]]}}
        parameters: {c: ["1", "y"]}
        equation: u_t + dot(c, grad(u)) = y
        exact: (x - t)*1 + y*0 + t + t*y
        source: "t*y + 1 + y - y - 0*x"
        conditions: {inflow: {piece: edge_2}, start: {kind: initial, value: x}}
    """,
}

ALL = {**LINES, **PERIODIC, **PLANE, **SPACE, **SYSTEMS, **IN_TIME}
