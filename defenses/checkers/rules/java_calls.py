"""Java: what makes a call wrong, as tests of one call or one value."""

import re

from bluecode.defenses.checkers.rules.secrets import names_login
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.values import Level

_SAFE_XML = (
    r"disallow-doctype-decl|external-general-entities|FEATURE_SECURE_PROCESSING|"
    r"ACCESS_EXTERNAL_DTD|SUPPORT_DTD|setExpandEntityReferences\(false|IS_SUPPORTING_EXTERNAL|"
    r"load-external-dtd|supportDTD"
)


_PLAIN_OBJECTS = r"ObjectInputFilter|setObjectInputFilter|ValidatingObjectInputStream|resolveClass"


def cipher(site: Site) -> float:
    """A broken cipher, mode or padding."""
    name = site.text(0)
    if re.match(r"(?:des|desede|rc[24]|arcfour|blowfish|rc5)", name):
        return 0.84
    if re.search(r"/ecb/", name) and not name.startswith("rsa") or name == "aes":
        return 0.82
    if re.match(r"rsa/[^/]+/(?:nopadding|pkcs1padding)|^rsa$", name):
        return 0.6
    return 0.55 if re.search(r"/cbc/pkcs5", name) else 0.0


def entities(site: Site) -> float:
    """An XML parser in code that says nothing of external entities."""
    return 0.0 if site.mentions(_SAFE_XML) else 0.6


def object_stream(site: Site) -> bool:
    """Does the code say nothing of a filter of classes?"""
    return not site.mentions(_PLAIN_OBJECTS)


def fixed_vector(site: Site) -> float:
    """An initialisation vector that nothing random was put into."""
    vector = site.arg(0)
    fixed = vector.level is Level.NONE and (vector.items or vector.known or _zeros(site))
    filled = "random" in vector.marks or site.mentions(r"\.nextBytes\(|generateSeed|getIV\(")
    return 0.8 if fixed and not filled else 0.0


def _zeros(site: Site) -> bool:
    node = site.node.args[0] if site.node.args else None
    if node is None:
        return False
    if node.role == "name":
        made = rf"\b{re.escape(node.name)}\s*=\s*new\s+byte\s*\[\s*\d*\s*\]"
        read = rf"(?:read|copy|arraycopy|get|fill|decode)\w*\([^;]*\b{re.escape(node.name)}\b"
        return site.mentions(made) and not site.mentions(read)
    return node.role == "array"


def csrf_off(site: Site) -> float:
    """`http.csrf(c -> c.disable())`; with no session there is little to forge."""
    names = {part.name for arg in site.node.args for part in arg.walk()}
    if not names & {"disable", "AbstractHttpConfigurer.disable"}:
        return 0.0
    return 0.45 if site.mentions(r"STATELESS|oauth2ResourceServer|JwtAuth|jwt") else 0.6


def cookie(site: Site) -> float:
    """A cookie for a login in code that sets no flags."""
    name = site.text(0)
    if site.mentions(r"setHttpOnly\(true") and site.mentions(r"setSecure\(true"):
        return 0.0
    return 0.6 if names_login(name) else 0.0


def command_text(site: Site) -> bool:
    """Is the command one text that is not constant?"""
    return site.arg(0).known is None and not site.arg(0).items


def command_list(site: Site) -> bool:
    """A list whose program is a shell that is told to run a text."""
    items = site.arg(0).items or tuple(site.args)
    words = [(item.known or "").lower() for item in items]
    return len(words) > 1 and words[0].rpartition("/")[2] in ("sh", "bash", "cmd", "cmd.exe",
                                                              "powershell", "zsh")  # fmt: skip


def fast_hash(site: Site) -> float:
    """A plain digest in code that speaks of passwords."""
    return 0.75 if re.search(r"passw|pwd", site.purpose) and site.text(0) else 0.0


def stream(site: Site) -> bool:
    """Is it a stream of objects that is read?"""
    return "ObjectInput" in site.base.path


def loader(site: Site) -> bool:
    """Is it a loader that builds objects of any class?"""
    head = site.base.path
    if site.name == "load":
        return "Yaml" in head and not site.mentions(r"SafeConstructor")
    if site.name == "fromXML":
        return not site.mentions(r"allowTypes|setupDefaultSecurity|addPermission")
    if site.name == "parseObject":
        return site.arg(0).level >= Level.REQUEST and site.mentions(r"fastjson|AutoType")
    return site.name == "XMLDecoder"


def page(site: Site) -> bool:
    """Is it an answer to a browser that is written to?"""
    head = site.base.path + " " + (site.node.base.name if site.node.base is not None else "")
    return bool(
        re.search(r"getWriter|PrintWriter|JspWriter|getOutputStream|^(?:out|writer) ?", head)
    )


def always_true(site: Site) -> float:
    """A check of host names that says yes to everything."""
    for arg in site.node.args:
        for part in arg.walk():
            if part.role == "function":
                body = list(part.walk())
                says = [p for p in body if p.role == "constant" and p.name == "true"]
                calls = [p for p in body if p.role == "call"]
                if says and not calls:
                    return 0.85
            if part.role in ("name", "member") and re.search(
                r"ALLOW_ALL|Noop|NOOP|AllowAll", part.name
            ):
                return 0.85
            if part.role == "call" and re.search(r"NoopHostname|AllowAllHostname", part.name):
                return 0.85
    return 0.0
