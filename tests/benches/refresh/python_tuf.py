"""python-tuf: one refresh and the search for one target. Says its CPU in nanoseconds, of the process or since its imports, and its
peak in KiB."""

import os
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from tuf.ngclient import Updater

imported = time.process_time_ns()
url, folder, root, path = sys.argv[1:]
updater = Updater(
    metadata_dir=folder,
    metadata_base_url=f"{url}metadata/",
    bootstrap=Path(root).read_bytes(),
)
updater._trusted_set.reference_time = datetime(2030, 1, 2, tzinfo=timezone.utc)
updater.refresh()
assert updater.get_targetinfo(path) is not None
spent = time.process_time_ns() - (imported if os.environ.get("SINCE_IMPORTS") else 0)
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(spent, peak.split()[1])
