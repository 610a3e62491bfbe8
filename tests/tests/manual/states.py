"""python-tuf over every state that was published, each at its own time: one client that sees all of them, one that saw the
first only and comes back for the last."""

import datetime
import os
import shutil
import sys
import tempfile

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater
from tuf.ngclient._internal import trusted_metadata_set


class Folder(FetcherInterface):
    """A folder as a web server."""

    def _fetch(self, url):
        try:
            with open(url.removeprefix("file://"), "rb") as file:
                return iter([file.read()])
        except FileNotFoundError:
            raise DownloadHTTPError("not found", 404) from None


class Clock(datetime.datetime):
    moment = None

    @classmethod
    def now(cls, tz=None):
        return cls.moment


def refresh(state, client):
    with open(os.path.join(state, "clock"), encoding="ascii") as file:
        Clock.moment = datetime.datetime.fromisoformat(file.read().strip())
    published = os.path.join(state, "published")
    root = None
    if not os.path.exists(os.path.join(client, "metadata")):
        with open(os.path.join(published, "metadata", "1.root.json"), "rb") as file:
            root = file.read()
    os.makedirs(os.path.join(client, "targets"), exist_ok=True)
    updater = Updater(
        metadata_dir=os.path.join(client, "metadata"),
        metadata_base_url=f"file://{published}/metadata/",
        target_dir=os.path.join(client, "targets"),
        target_base_url=f"file://{published}/targets/",
        fetcher=Folder(),
        bootstrap=root,
    )
    updater.refresh()
    targets = os.path.join(published, "targets")
    found = 0
    for folder, _, files in os.walk(targets):
        for file in files:
            if file.endswith(".release.json"):
                path = os.path.join(os.path.relpath(folder, targets), file.split(".", 1)[1])
                # What was withdrawn may stand there still.
                info = updater.get_targetinfo(path)
                if info is not None:
                    updater.download_target(info)
                    found += 1
    trusted = updater._trusted_set
    print(os.path.basename(state), "root", trusted.root.version, "targets", trusted.targets.version,
          "snapshot", trusted.snapshot.version, "manifests", found)


def main(states):
    trusted_metadata_set.datetime = type(sys)("datetime")
    trusted_metadata_set.datetime.datetime = Clock
    trusted_metadata_set.datetime.timezone = datetime.timezone
    names = sorted(os.listdir(states))
    with tempfile.TemporaryDirectory() as folder:
        awake, sleeper = os.path.join(folder, "awake"), os.path.join(folder, "sleeper")
        refresh(os.path.join(states, names[0]), sleeper)
        for name in names:
            refresh(os.path.join(states, name), awake)
        refresh(os.path.join(states, names[-1]), sleeper)
        shutil.rmtree(awake)


main(sys.argv[1])
