"""python-tuf makes the same roles: FOLDER's files in 256 hashed bins, each signed by two keys. Prints the seconds.

python_tuf.py FOLDER OUTPUT
"""

import os
import sys
import time
from datetime import datetime, timedelta, timezone

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, TargetFile, Targets, DelegatedRole, Delegations

folder, output = sys.argv[1:]
os.makedirs(output)
signers = [CryptoSigner.generate_ed25519() for _ in range(2)]
expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=180)
start = time.monotonic()
bins = {f"router-x~{number:02x}": Targets(version=2, expires=expires) for number in range(256)}
roles = {
    name: DelegatedRole(
        name, [s.public_key.keyid for s in signers], 2, True, None, [name[-2:]]
    )
    for name in bins
}
delegations = Delegations({s.public_key.keyid: s.public_key for s in signers}, roles)
for name in os.listdir(folder):
    path = f"router-x/{name}"
    target = TargetFile.from_file(path, os.path.join(folder, name), ["sha256"])
    role, _ = next(delegations.get_roles_for_target(path))
    bins[role].targets[path] = target
for name, role in bins.items():
    metadata = Metadata(role)
    for signer in signers:
        metadata.sign(signer, append=True)
    metadata.to_file(os.path.join(output, f"2.{name}.json"))
print(time.monotonic() - start)
