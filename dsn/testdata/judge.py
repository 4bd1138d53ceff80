"""judge.py reads a message from standard input with Python's email package and
prints what it found as JSON."""
import email, email.policy, json, sys

m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
parts = list(m.iter_parts())


def text(p):
    if p.get_content_type() in ("message/rfc822", "message/global"):
        return str(p.get_payload(0)["Subject"])
    if p.get_content_maintype() == "message" and not p.get_content_type().endswith("-status"):
        return p.get_payload(0).as_string() if p.is_multipart() else p.get_payload()
    return p.get_content() if p.get_content_maintype() == "text" else ""


def groups(p):
    """The fields of a delivery status, which email reads as a list of headers."""
    if p.get_content_type() == "message/delivery-status":
        got = [[[k, " ".join(str(v).split())] for k, v in g.items()] for g in p.get_payload()]
    else:
        # Python knows nothing of RFC 6533: its blocks are read as headers here.
        raw = p.get_payload(decode=True) or p.get_payload(0).as_bytes()
        got = [[[k, " ".join(str(v).split())] for k, v in email.message_from_bytes(b + b"\n\n", policy=email.policy.SMTPUTF8).items()]
               for b in raw.replace(b"\r\n", b"\n").strip(b"\n").split(b"\n\n")]
    return [g for g in got if g]


print(json.dumps({
    "fields": m.keys(),
    "subject": str(m["Subject"]),
    "to": str(m["To"]),
    "type": m.get_content_type(),
    "report": m.get_param("report-type"),
    "types": [p.get_content_type() for p in parts],
    "texts": [text(p) for p in parts],
    "status": groups(parts[1]),
    "defects": [type(d).__name__ for p in m.walk() for d in list(p.defects) + [d for v in p.values() for d in getattr(v, "defects", [])]],
}))
