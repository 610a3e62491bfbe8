"""Makes a repository with python-tuf: roots 1 and 2, one target, expiring in a year. Arguments: the folder; `plain` for one without
versions in file names (but those of roots)."""

import os
import sys
from datetime import datetime, timedelta, timezone

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Role, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

folder, *plain = sys.argv[1:]
consistent = not plain
expires = (datetime.now(timezone.utc) + timedelta(days=365)).replace(microsecond=0)
os.makedirs(os.path.join(folder, "metadata"))
os.makedirs(os.path.join(folder, "targets"))

private = Ed25519PrivateKey.generate()
with open(os.path.join(folder, "root.pem"), "wb") as file:
    file.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
root_signer = CryptoSigner(private)
online = CryptoSigner.generate_ecdsa()


def write(name, metadata, *signers):
    for signer in signers:
        metadata.sign(signer, append=True)
    metadata.to_file(os.path.join(folder, "metadata", name), JSONSerializer(compact=False))


root = Root(expires=expires, consistent_snapshot=consistent)
root.add_key(root_signer.public_key, "root")
for role in ["timestamp", "snapshot", "targets"]:
    root.add_key(online.public_key, role)
write("1.root.json", Metadata(root), root_signer)
root.version = 2
write("2.root.json", Metadata(root), root_signer)

content = b"firmware of the old days" * 1000
info = TargetFile.from_data("fw.bin", content)
name = f"{info.hashes['sha256']}.fw.bin" if consistent else "fw.bin"
with open(os.path.join(folder, "targets", name), "wb") as file:
    file.write(content)
prefix = "4." if consistent else ""
write(f"{prefix}targets.json", Metadata(Targets(version=4, expires=expires, targets={"fw.bin": info})), online)
meta = {"targets.json": MetaFile(4)}
write(f"{prefix}snapshot.json", Metadata(Snapshot(version=4, expires=expires, meta=meta)), online)
write("timestamp.json", Metadata(Timestamp(version=9, expires=expires, snapshot_meta=MetaFile(4))), online)
