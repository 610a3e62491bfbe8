"""python-tuf behind a pipe: each line in is a round to run, or the answer to a request; each line out a request or an outcome."""

import json
import logging
import sys
from datetime import datetime, timezone
from urllib.parse import unquote

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

BASE = "http://pipe/"


def ask(question):
    print(json.dumps(question), flush=True)
    return json.loads(sys.stdin.readline())


class Pipe(FetcherInterface):
    def _fetch(self, url):
        answer = ask({"get": unquote(url.removeprefix(BASE))})
        if "bytes" not in answer:
            raise DownloadHTTPError("no file", answer["status"])
        return iter([bytes.fromhex(answer["bytes"])])


def looked_up(updater, path):
    try:
        target = updater.get_targetinfo(path)
    except Exception as e:  # noqa: BLE001: whatever it raises, it refuses
        return {"refused": f"{type(e).__name__}: {e}"}
    return {"found": target and [target.length, target.hashes["sha256"]]}


def outcome(round_):
    now = datetime.strptime(round_["now"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    try:
        updater = Updater(
            metadata_dir=round_["folder"],
            metadata_base_url=f"{BASE}metadata/",
            fetcher=Pipe(),
            bootstrap=bytes.fromhex(round_["root"]),
        )
        trusted = updater._trusted_set
        trusted.reference_time = now
        updater.refresh()
    except Exception as e:  # noqa: BLE001: whatever it raises, it refuses
        return {"refused": f"{type(e).__name__}: {e}"}
    return {
        "versions": [trusted.root.version, trusted.timestamp.version, trusted.snapshot.version, trusted.targets.version],
        "lookups": [looked_up(updater, path) for path in round_["lookups"]],
    }


logging.disable(logging.CRITICAL)
for line in sys.stdin:
    print(json.dumps(outcome(json.loads(line))), flush=True)
