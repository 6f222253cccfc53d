"""The closed set of rules of the Python checker: title, CWE, severity, reason and safe pattern.

Documentation and tests read this table; nothing else names a CWE. A reason speaks of `{source}`
where the rule follows untrusted data, and never quotes the code.
"""

from dataclasses import dataclass

from bluecode.defenses.verdict import Category, Severity

LOW, MEDIUM, HIGH = Severity.LOW, Severity.MEDIUM, Severity.HIGH


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of weakness."""

    title: str
    cwe: int
    severity: Severity
    reason: str
    advice: str
    category: Category = Category.VULNERABLE_CODE

    def explain(self, source: str) -> str:
        """The sentence for a note; `source` says where the untrusted data came from."""
        return self.reason.replace("{source}", source)


_INJECTION = {
    "command_injection": Rule(
        "Shell command built from untrusted text",
        78,
        HIGH,
        "Text from {source} becomes part of a shell command.",
        "pass a list of arguments without a shell, or quote with shlex.quote",
    ),
    "argument_injection": Rule(
        "Program or options chosen by untrusted text",
        88,
        MEDIUM,
        "Text from {source} decides which program runs or is split into its arguments.",
        "fix the program, put `--` before values, and allow-list what may be passed",
    ),
    "sql_injection": Rule(
        "SQL built from untrusted text",
        89,
        HIGH,
        "Text from {source} becomes part of an SQL statement.",
        "bind values as query parameters; allow-list names of tables and columns",
    ),
    "sql_formatting": Rule(
        "SQL put together as text, with numbers only",
        89,
        LOW,
        "Numbers from {source} are formatted into SQL; nothing but their type protects it.",
        "pass them as parameters, too",
    ),
    "nosql_injection": Rule(
        "Database query object taken from untrusted data",
        943,
        HIGH,
        "Data from {source} can bring its own query operators into a database query.",
        "convert each value to a plain string or number before it enters the query",
    ),
    "code_injection": Rule(
        "Untrusted text evaluated as code",
        95,
        HIGH,
        "Text from {source} is evaluated as Python code.",
        "parse the data with ast.literal_eval or json, or map names to known functions",
    ),
    "dynamic_import": Rule(
        "Module chosen by untrusted text",
        94,
        MEDIUM,
        "Text from {source} decides which module is imported.",
        "allow-list the modules that may be imported",
    ),
    "template_injection": Rule(
        "Template source built from untrusted text",
        1336,
        HIGH,
        "Text from {source} becomes the source of a template.",
        "keep the template constant and pass values as variables",
    ),
    "format_injection": Rule(
        "Format string taken from untrusted text",
        134,
        MEDIUM,
        "Text from {source} is used as a format string and can read attributes of its arguments.",
        "keep the format constant, or use string.Template with safe_substitute",
    ),
    "ldap_injection": Rule(
        "LDAP filter built from untrusted text",
        90,
        HIGH,
        "Text from {source} becomes part of an LDAP filter or name.",
        "escape values with ldap.filter.escape_filter_chars or escape_rdn",
    ),
    "xpath_injection": Rule(
        "XPath built from untrusted text",
        643,
        HIGH,
        "Text from {source} becomes part of an XPath expression.",
        "pass values as XPath variables",
    ),
    "xss": Rule(
        "Markup built from unescaped untrusted text",
        79,
        HIGH,
        "Text from {source} reaches an HTML page without being escaped.",
        "render an autoescaped template or escape with html.escape",
    ),
    "autoescape_off": Rule(
        "Template engine without autoescaping",
        79,
        MEDIUM,
        "A template environment is made that does not escape what it inserts.",
        "set autoescape=True or select_autoescape()",
    ),
    "header_injection": Rule(
        "Response header built from untrusted text",
        113,
        LOW,
        "Text from {source} becomes part of a response header and may hold line breaks.",
        "remove CR and LF before the value is set",
    ),
    "log_injection": Rule(
        "Log line built from untrusted text",
        117,
        LOW,
        "Text from {source} becomes part of a log line and may forge others.",
        "remove line breaks, or log values as structured fields",
    ),
    "open_redirect": Rule(
        "Redirect to an untrusted address",
        601,
        MEDIUM,
        "A value from {source} decides where the client is sent.",
        "redirect only to relative paths or to allow-listed hosts",
    ),
    "weak_host_check": Rule(
        "Host compared by a part of its text",
        20,
        MEDIUM,
        "A host name is accepted when it merely contains or ends with the trusted one.",
        "compare the whole host, or its end together with the leading dot",
    ),
    "ssrf": Rule(
        "Request to an untrusted address",
        918,
        HIGH,
        "A value from {source} decides which host the server asks.",
        "allow-list hosts and refuse private addresses after resolving",
    ),
    "mass_assignment": Rule(
        "Attributes set by untrusted names",
        915,
        MEDIUM,
        "Names from {source} decide which attributes of an object are set.",
        "copy only an allow-list of fields",
    ),
    "regex_injection": Rule(
        "Regular expression built from untrusted text",
        1333,
        MEDIUM,
        "Text from {source} is used as a regular expression.",
        "escape it with re.escape, or use plain string search",
    ),
    "slow_regex": Rule(
        "Regular expression that can take exponential time",
        1333,
        MEDIUM,
        "A regular expression with overlapping repetitions is applied to text from {source}.",
        "make repetitions unambiguous and bound the length of the input",
    ),
}

_FILES = {
    "path_traversal": Rule(
        "File path built from untrusted text",
        22,
        HIGH,
        "A value from {source} decides which file is used and may leave the intended folder.",
        "resolve the path and check that it stays inside the base, or keep only the base name",
    ),
    "archive_traversal": Rule(
        "Archive unpacked without checking member names",
        22,
        MEDIUM,
        "Members of an archive are unpacked wherever their names point.",
        "use extractall(filter='data') or check each member's resolved path",
    ),
    "unrestricted_upload": Rule(
        "Upload stored under its own name and type",
        434,
        MEDIUM,
        "An uploaded file is stored without a check of its type.",
        "allow-list extensions and store it under a name of your own",
    ),
    "unsafe_deserialization": Rule(
        "Objects built from untrusted data",
        502,
        HIGH,
        "Data from {source} is deserialised in a way that can run code.",
        "use json, yaml.safe_load or another format that holds only data",
    ),
    "xml_external_entity": Rule(
        "XML parsed with entities allowed",
        611,
        MEDIUM,
        "XML from {source} is parsed with external entities or entity expansion allowed.",
        "use defusedxml, or lxml with resolve_entities=False and no_network=True",
    ),
    "temporary_file": Rule(
        "Predictable temporary file",
        377,
        MEDIUM,
        "A temporary file gets a name that others can guess or create first.",
        "use tempfile.NamedTemporaryFile or mkstemp",
    ),
    "loose_permissions": Rule(
        "Permissions open to everyone",
        732,
        MEDIUM,
        "A file is made readable, writable or executable for every user.",
        "use 0o600 for private files and 0o700 for folders",
    ),
    "race_condition": Rule(
        "File checked, then used",
        367,
        LOW,
        "A file is checked first and used later; it can change in between.",
        "open the file and handle the error",
    ),
}

_CRYPTO = {
    "weak_hash": Rule(
        "Broken hash function",
        328,
        MEDIUM,
        "A hash function with known collisions is used.",
        "use hashlib.sha256, or usedforsecurity=False where nothing depends on it",
    ),
    "weak_password_hash": Rule(
        "Password hashed with a fast hash",
        916,
        HIGH,
        "A password is hashed with a fast hash or too few rounds, which makes guessing cheap.",
        "use argon2, scrypt, bcrypt, or PBKDF2 with hundreds of thousands of rounds",
    ),
    "predictable_salt": Rule(
        "Salt that is fixed or derived",
        760,
        MEDIUM,
        "A salt is constant or computed from data that others know.",
        "draw a fresh salt with os.urandom(16) for each password",
    ),
    "weak_cipher": Rule(
        "Broken cipher or mode",
        327,
        HIGH,
        "A cipher or a mode of operation is used that is known to be weak.",
        "use AES-GCM or ChaCha20-Poly1305",
    ),
    "fixed_key": Rule(
        "Encryption key in the code",
        321,
        HIGH,
        "An encryption or signing key is a constant of the program.",
        "load keys from a secret store or the environment",
    ),
    "fixed_iv": Rule(
        "Nonce or initialisation vector that never changes",
        329,
        MEDIUM,
        "An initialisation vector or nonce is constant.",
        "draw a fresh one with os.urandom for each message",
    ),
    "short_key": Rule(
        "Key too short",
        326,
        MEDIUM,
        "A key is generated with a length that can be broken.",
        "use RSA of at least 2048 bits (3072 for new keys) or a curve of 256 bits",
    ),
    "weak_random": Rule(
        "Secret from a predictable generator",
        330,
        MEDIUM,
        "A secret value is drawn from a generator whose output can be predicted.",
        "use the secrets module",
    ),
    "unverified_certificate": Rule(
        "Certificate or host key not verified",
        295,
        HIGH,
        "The other side's certificate or host key is not verified.",
        "leave verification on and give the right CA or known hosts",
    ),
    "old_protocol": Rule(
        "Outdated TLS version",
        327,
        MEDIUM,
        "A connection is allowed to use an outdated SSL or TLS version.",
        "use ssl.create_default_context()",
    ),
    "unverified_signature": Rule(
        "Token accepted without its signature",
        347,
        HIGH,
        "A signed token is read without verifying its signature or with no algorithm fixed.",
        "verify the signature and pass the list of expected algorithms",
    ),
    "timing_comparison": Rule(
        "Secret compared in variable time",
        208,
        LOW,
        "A secret or signature is compared with an operator that stops at the first difference.",
        "use hmac.compare_digest",
    ),
    "hardcoded_secret": Rule(
        "Secret in the code",
        798,
        MEDIUM,
        "A password, key or token is written into the code.",
        "read it from the environment or a secret store",
    ),
}

_SETTINGS = {
    "debug_enabled": Rule(
        "Debugger open to clients",
        489,
        MEDIUM,
        "The web application is started with its debugger on.",
        "leave debug off outside development",
    ),
    "insecure_cookie": Rule(
        "Cookie without its protections",
        614,
        LOW,
        "A session cookie is set without the Secure or HttpOnly attribute.",
        "set secure=True, httponly=True and samesite",
    ),
    "missing_authentication": Rule(
        "Administrator's handler that asks nobody who they are",
        306,
        MEDIUM,
        "A handler for administrators shows no check of who the client is.",
        "require a login and the administrator's role, as a decorator or a dependency",
    ),
    "missing_authorization": Rule(
        "Handler that changes things without the check its neighbours have",
        862,
        MEDIUM,
        "A handler changes data without the check of the client that others here have.",
        "put the same check in front of it, or say that it is open to all",
    ),
    "requester_ignored": Rule(
        "The one who asks is given and not asked about",
        862,
        MEDIUM,
        "A function is told who asks, and changes or shows what belongs to others all the same.",
        "check that the requester owns it or has the role before anything is done",
    ),
    "authenticated_only": Rule(
        "Whoever is logged in may do it",
        863,
        MEDIUM,
        "A function asks whether somebody is logged in, and not whether they may.",
        "check the role or the ownership that the action needs",
    ),
    "sensitive_field_returned": Rule(
        "Record shown with a field that must not be seen",
        200,
        MEDIUM,
        "A password, its hash, or a number that identifies a person or a card is given back.",
        "answer with an allow-list of fields",
    ),
    "unbounded_size": Rule(
        "Size chosen by a client",
        770,
        MEDIUM,
        "What is made is as large as a request asks for, with no bound.",
        "compare the number with a limit first",
    ),
    "unsynchronised_state": Rule(
        "Shared state changed without a lock",
        362,
        MEDIUM,
        "State that several threads use is looked at and then changed; another can come between.",
        "hold a lock from the look to the change",
    ),
    "weak_password_rule": Rule(
        "Passwords that are too short are accepted",
        521,
        LOW,
        "Passwords of fewer than eight characters are accepted.",
        "require eight characters or more, twelve without other checks",
    ),
    "reflection": Rule(
        "Function or attribute chosen by untrusted text",
        470,
        MEDIUM,
        "A name from {source} decides which function is called.",
        "look the name up in a mapping of the functions that are meant",
    ),
    "csrf_disabled": Rule(
        "Protection against forged requests switched off",
        352,
        MEDIUM,
        "A handler that changes state is exempt from the check against forged requests.",
        "leave CSRF protection on, or authenticate by a header token",
    ),
    "error_disclosure": Rule(
        "Internal error shown to the client",
        209,
        LOW,
        "Details of an internal error are sent to the client.",
        "log the error and answer with a fixed message",
    ),
    "secret_in_log": Rule(
        "Secret written to a log",
        532,
        MEDIUM,
        "A password, key or token is written to a log or printed.",
        "leave the value out or log only that it is set",
    ),
    "secret_stored": Rule(
        "Password kept in a file as it is",
        312,
        MEDIUM,
        "A password is written to a file in clear text.",
        "keep a hash made for passwords, or leave it to a secret store",
    ),
    "plain_password": Rule(
        "Password kept as it was typed",
        256,
        HIGH,
        "A password is compared with the kept one as it stands, so it is kept in clear text.",
        "keep only a hash made for passwords, and verify against that",
    ),
    "cleartext_protocol": Rule(
        "Unencrypted protocol",
        319,
        LOW,
        "A protocol is used that sends credentials in clear text.",
        "use SSH, SFTP, FTPS or TLS",
    ),
    "open_cors": Rule(
        "Any site may use the visitor's session",
        942,
        MEDIUM,
        "Requests of any site are allowed, with the visitor's cookies.",
        "list the origins that are meant, or leave credentials off",
    ),
    "config_listener": Rule(
        "Logging configuration taken from the network",
        94,
        MEDIUM,
        "Whoever reaches the port sets the logging configuration, which can run code.",
        "pass verify=, or read the configuration from a file",
    ),
    "remote_code_trusted": Rule(
        "Code of a downloaded model trusted",
        829,
        MEDIUM,
        "Code that comes with a downloaded model or data set is run.",
        "leave trust_remote_code off, or pin a revision that was read",
    ),
    "protected_attribute": Rule(
        "Decision about people by what must not decide",
        840,
        MEDIUM,
        "What people get is decided by their sex, origin, faith, health or another such attribute.",
        "decide by what the decision is about, and test the outcome for fairness",
        Category.BIAS,
    ),
    "hidden_text_direction": Rule(
        "Invisible characters that reorder the code",
        1007,
        HIGH,
        "Invisible direction marks make the code read differently from what runs.",
        "remove the control characters",
    ),
}

_REMARKS = {
    "assertion_check": Rule(
        "Check that optimised runs leave out",
        617,
        LOW,
        "A condition is checked by an assertion, which python -O leaves out.",
        "raise an error of its own",
    ),
    "ignored_error": Rule(
        "Every error passed over",
        390,
        LOW,
        "Errors of any kind are caught and nothing is done about them.",
        "catch the error that is expected, or log it",
    ),
    "open_binding": Rule(
        "Service bound to every address",
        1327,
        LOW,
        "A service listens on every address of the machine.",
        "bind to the address that is meant, such as 127.0.0.1",
    ),
    "process_started": Rule(
        "Program started",
        426,
        LOW,
        "Another program is started, by a shell or found by its name.",
        "name its full path, and pass a list of arguments",
    ),
    "wildcard_command": Rule(
        "Wildcard in a command that takes options",
        155,
        LOW,
        "File names that a wildcard stands for can be read as options.",
        "write ./* in place of *",
    ),
    "ordinary_random": Rule(
        "Random numbers that can be predicted",
        338,
        LOW,
        "Random numbers come from a generator that is not for secrets.",
        "use the secrets module where they must not be guessed",
    ),
    "no_timeout": Rule(
        "Request that may wait for ever",
        400,
        LOW,
        "A request to another machine has no timeout.",
        "pass timeout=",
    ),
    "open_scheme": Rule(
        "Address of any scheme opened",
        73,
        LOW,
        "An address is opened that may be a local file as well.",
        "check that it begins with https://",
    ),
    "xml_expansion": Rule(
        "XML parser that expands entities",
        776,
        LOW,
        "An XML parser is used that expands the entities a document defines.",
        "use defusedxml for documents of others",
    ),
    "cgi_proxy": Rule(
        "CGI lets a request choose the proxy",
        807,
        LOW,
        "Under CGI a request's Proxy header becomes a setting of HTTP clients.",
        "use WSGI, or remove HTTP_PROXY from the environment",
    ),
    "unpinned_download": Rule(
        "Model or data without a fixed revision",
        494,
        LOW,
        "A model or data set is downloaded by a name whose content may change.",
        "pass the commit as revision=",
    ),
}

RULES: dict[str, Rule] = {
    f"python.{name}": rule
    for table in (_INJECTION, _FILES, _CRYPTO, _SETTINGS, _REMARKS)
    for name, rule in table.items()
}
