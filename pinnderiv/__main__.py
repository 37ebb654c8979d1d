"""``python -m pinnderiv`` is the command ``pinnderiv``."""

from pinnderiv.app import main

if __name__ == "__main__":
    main()
