"""`python -m pgalmanac`, for where the console script is not on the path."""

import sys

from pgalmanac.cli import main

if __name__ == "__main__":
    sys.exit(main())
