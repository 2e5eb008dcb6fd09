"""``python -m soundsep.cli``."""

import sys

from soundsep.cli import main

sys.exit(main())
