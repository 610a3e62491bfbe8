"""Makes signatures.json: a signature of every scheme by securesystemslib, which python-tuf signs with.

    pip install 'securesystemslib[crypto]>=1.6' 'cryptography>=48' && python3 make.py > signatures.json
"""

import json

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric import rsa
from securesystemslib.signer import CryptoSigner, SSlibKey

MESSAGE = b'{"a":"\xc3\xa9 \\" \\\\","b":[1,-2,null,true]}'


def signers():
    yield CryptoSigner.generate_ed25519()
    for curve, scheme in ((SECP256R1(), "ecdsa-sha2-nistp256"), (SECP384R1(), "ecdsa-sha2-nistp384")):
        for keytype in ("ecdsa", scheme):
            private = generate_private_key(curve)
            public = SSlibKey.from_crypto(private.public_key(), scheme=scheme)
            public.keytype = keytype
            yield CryptoSigner(private, public)
    for bits, scheme in ((2048, "sha256"), (3072, "sha384"), (4096, "sha512")):
        private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        public = SSlibKey.from_crypto(private.public_key(), scheme=f"rsassa-pss-{scheme}")
        yield CryptoSigner(private, public)
    for level in (44, 65, 87):
        yield CryptoSigner.generate_mldsa(scheme=f"ml-dsa-{level}/1")


def vector(signer):
    return {"key": signer.public_key.to_dict(), "sig": signer.sign(MESSAGE).signature}


print(json.dumps({"message": MESSAGE.hex(), "vectors": [vector(s) for s in signers()]}, indent=1))
