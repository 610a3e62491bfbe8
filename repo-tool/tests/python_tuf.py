"""Refreshes from a published folder with python-tuf; downloads the manifest, every payload that it names, and the
targets named as further arguments."""

import functools
import http.server
import json
import os
import sys
import tempfile
import threading

from tuf.ngclient import Updater


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def download(updater, path):
    info = updater.get_targetinfo(path)
    assert info is not None, f"no target {path}"
    file = updater.download_target(info)
    print(path, info.length)
    return file


def main(published, *others):
    handler = functools.partial(Silent, directory=published)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    with open(os.path.join(published, "metadata", "1.root.json"), "rb") as file:
        root = file.read()
    with tempfile.TemporaryDirectory() as folder:
        updater = Updater(
            metadata_dir=os.path.join(folder, "metadata"),
            metadata_base_url=f"{base}/metadata/",
            target_dir=folder,
            target_base_url=f"{base}/targets/",
            bootstrap=root,
        )
        updater.refresh()
        trusted = updater._trusted_set
        print("root", trusted.root.version)
        print("targets", trusted.targets.version)
        manifest = download(updater, "router-x/stable.release.json")
        with open(manifest, encoding="utf-8") as file:
            release = json.load(file)
        for image in release["images"].values():
            for payload in [image["full"], *image["deltas"].values()]:
                download(updater, payload["path"])
        assert updater.get_targetinfo("router-y/nothing") is None
        for path in others:
            download(updater, path)
    server.shutdown()


main(*sys.argv[1:])
