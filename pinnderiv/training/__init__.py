"""Training: from a problem and a network to a solution, its checkpoints and its figures.

Read `loop.py` first. `setup.py` builds what it runs, `session.py` is what the command does.
"""
