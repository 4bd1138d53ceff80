# Signs and verifies messages with dkimpy, for tests.
#
#   dkimpy.py sign KEY ALGORITHM CANON SELECTOR DOMAIN [length]   <msg >signed
#   dkimpy.py verify RECORD                                       <msg   exit 0 for each signature good
import sys

import dkim

msg = sys.stdin.buffer.read()
if sys.argv[1] == "sign":
    key, algorithm, canon, selector, domain = sys.argv[2:7]
    with open(key, "rb") as f:
        key = f.read()
    field = dkim.sign(msg, selector.encode(), domain.encode(), key,
                      canonicalize=tuple(c.encode() for c in canon.split("/")),
                      signature_algorithm=algorithm.encode(),
                      length=len(sys.argv) > 7)
    sys.stdout.buffer.write(field + msg)
else:
    record = sys.argv[2].encode()
    d = dkim.DKIM(msg)
    n = sum(name.lower() == b"dkim-signature" for name, _ in d.headers)
    good = [d.verify(idx=i, dnsfunc=lambda name, timeout=5: record) for i in range(n)]
    print(good)
    sys.exit(not good or not all(good))
