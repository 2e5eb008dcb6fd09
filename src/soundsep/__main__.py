"""``python -m soundsep``."""

import sys

from soundsep.cli import main

if __name__ == "__main__":
    sys.exit(main())
