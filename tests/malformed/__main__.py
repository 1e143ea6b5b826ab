"""Write malformed data into a folder and list them."""

import sys
from pathlib import Path

from tests.malformed import inputs

for kind, path in inputs(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 320):
    print(kind, path)
