"""The closed set of weaknesses that the rules of all languages speak of.

A rule's name is the language and one of these: `java.sql_injection`. A reason never quotes the
code; `{source}` says where untrusted data came from. `profile` says how likely the weakness is, by
who decides the data: nobody knows, a parameter, the program's input, a request.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bluecode.defenses.checkers.rules.values import Level
from bluecode.defenses.verdict import Category, Severity

LOW, MEDIUM, HIGH = Severity.LOW, Severity.MEDIUM, Severity.HIGH


@dataclass(frozen=True, slots=True)
class Weakness:
    """One kind of weakness."""

    title: str
    cwe: int
    severity: Severity
    reason: str
    advice: str
    profile: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    category: Category = Category.VULNERABLE_CODE

    def score(self, level: Level) -> float:
        """How likely the weakness is for data of this level."""
        return 0.0 if level is Level.NONE else self.profile[level - 1]


_INJECTION = {
    "command_injection": Weakness(
        "Shell command built from untrusted text",
        78,
        HIGH,
        "Text from {source} becomes part of a shell command.",
        "run the program with a list of arguments and no shell",
        (0.52, 0.76, 0.8, 0.95),
    ),
    "argument_injection": Weakness(
        "Program or options chosen by untrusted text",
        88,
        MEDIUM,
        "Text from {source} decides which program runs or with which options.",
        "fix the program, put `--` before values, and allow-list what may be passed",
        (0.0, 0.4, 0.5, 0.75),
    ),
    "sql_injection": Weakness(
        "SQL built from untrusted text",
        89,
        HIGH,
        "Text from {source} becomes part of an SQL statement.",
        "bind values as query parameters; allow-list names of tables and columns",
        (0.6, 0.78, 0.82, 0.96),
    ),
    "nosql_injection": Weakness(
        "Database query object taken from untrusted data",
        943,
        HIGH,
        "Data from {source} can bring its own operators into a database query.",
        "convert each value to a plain string or number before it enters the query",
        (0.0, 0.5, 0.6, 0.85),
    ),
    "code_injection": Weakness(
        "Untrusted text evaluated as code",
        95,
        HIGH,
        "Text from {source} is evaluated as code.",
        "parse the data as data, or map names to known functions",
        (0.55, 0.75, 0.85, 0.96),
    ),
    "dynamic_import": Weakness(
        "Module or file of code chosen by untrusted text",
        98,
        HIGH,
        "Text from {source} decides which code is loaded.",
        "map the name to one of a fixed list of files",
        (0.0, 0.55, 0.7, 0.93),
    ),
    "reflection": Weakness(
        "Method or class chosen by untrusted text",
        470,
        HIGH,
        "Text from {source} decides which method or class is used.",
        "allow-list the names that may be called",
        (0.0, 0.52, 0.6, 0.88),
    ),
    "template_injection": Weakness(
        "Template source built from untrusted text",
        1336,
        HIGH,
        "Text from {source} becomes the source of a template.",
        "keep the template constant and pass values as variables",
        (0.0, 0.6, 0.7, 0.93),
    ),
    "format_injection": Weakness(
        "Format string that is not a constant",
        134,
        HIGH,
        "Text from {source} is used as a format string.",
        "give a constant format and pass the text as its argument",
        (0.5, 0.7, 0.85, 0.95),
    ),
    "ldap_injection": Weakness(
        "LDAP filter built from untrusted text",
        90,
        HIGH,
        "Text from {source} becomes part of an LDAP filter.",
        "escape the value for LDAP filters before it is inserted",
        (0.3, 0.65, 0.7, 0.92),
    ),
    "xpath_injection": Weakness(
        "XPath built from untrusted text",
        643,
        HIGH,
        "Text from {source} becomes part of an XPath expression.",
        "pass values as XPath variables, or compare them in code",
        (0.5, 0.72, 0.75, 0.92),
    ),
    "xss": Weakness(
        "Markup built from unescaped untrusted text",
        79,
        HIGH,
        "Text from {source} reaches an HTML page without being escaped.",
        "escape the value for HTML, or use a template that escapes",
        (0.5, 0.6, 0.55, 0.9),
    ),
    "header_injection": Weakness(
        "Header built from untrusted text",
        113,
        MEDIUM,
        "Text from {source} becomes part of a header and may hold line breaks.",
        "remove CR and LF before the value is set",
        (0.0, 0.55, 0.5, 0.6),
    ),
    "log_injection": Weakness(
        "Log entry built from untrusted text",
        117,
        LOW,
        "Text from {source} becomes part of a log line and may hold line breaks.",
        "replace line breaks before the text is logged",
        (0.0, 0.3, 0.3, 0.55),
    ),
    "regex_injection": Weakness(
        "Regular expression taken from untrusted text",
        400,
        MEDIUM,
        "Text from {source} becomes a regular expression that can run for ever.",
        "escape the text before it enters the expression, or limit time and length",
        (0.3, 0.52, 0.5, 0.75),
    ),
}

_ACCESS = {
    "path_traversal": Weakness(
        "File chosen by untrusted text",
        22,
        HIGH,
        "Text from {source} decides which file is used, and may leave the intended folder.",
        "resolve the full path and check that it lies inside the allowed folder",
        (0.0, 0.56, 0.45, 0.88),
    ),
    "ssrf": Weakness(
        "Address of a request chosen by untrusted text",
        918,
        HIGH,
        "Text from {source} decides where a request is sent.",
        "allow-list scheme and host, and refuse private addresses",
        (0.0, 0.45, 0.4, 0.88),
    ),
    "open_redirect": Weakness(
        "Redirect to an address from untrusted text",
        601,
        MEDIUM,
        "Text from {source} decides where the browser is sent.",
        "redirect to paths of this site or to an allow-list of hosts",
        (0.0, 0.5, 0.4, 0.85),
    ),
    "weak_host_check": Weakness(
        "Host checked by part of its text",
        20,
        MEDIUM,
        "An address or origin is trusted because a text occurs somewhere in it.",
        "compare the parsed host with the allowed one, or its ending with a dot before it",
    ),
    "mass_assignment": Weakness(
        "All fields of a request copied into an object",
        915,
        MEDIUM,
        "Data from {source} sets any field of an object.",
        "name the fields that may be set",
        (0.0, 0.3, 0.3, 0.8),
    ),
    "prototype_pollution": Weakness(
        "Property name from untrusted data",
        1321,
        MEDIUM,
        "Keys from {source} are written into an object without excluding its prototype.",
        "refuse `__proto__`, `constructor` and `prototype`, or use a Map",
        (0.0, 0.55, 0.6, 0.85),
    ),
    "unsafe_upload": Weakness(
        "Uploaded file kept under its own name",
        434,
        HIGH,
        "An uploaded file is stored under a name from {source}.",
        "choose the name and extension yourself, outside the web root",
        (0.0, 0.5, 0.5, 0.85),
    ),
    "file_race": Weakness(
        "File checked and then used",
        367,
        MEDIUM,
        "A file is checked by name and used by name later; it can be exchanged in between.",
        "open it first and check the open file",
    ),
    "temporary_file": Weakness(
        "Temporary file with a predictable name",
        377,
        MEDIUM,
        "A temporary file gets a name that others can guess and prepare.",
        "let the system create the file: mkstemp or its equivalent",
    ),
    "file_permissions": Weakness(
        "File that others may change or read",
        732,
        MEDIUM,
        "A file or folder gets permissions for everyone or for its whole group.",
        "give the owner alone access: 0600 for files, 0700 for folders",
    ),
    "missing_csrf": Weakness(
        "Changing request without protection against forgery",
        352,
        MEDIUM,
        "A handler that changes state does not check an anti-forgery token.",
        "check the framework's anti-forgery token on every changing request",
    ),
    "postmessage_origin": Weakness(
        "Message sent to or taken from any window",
        345,
        MEDIUM,
        "Messages between windows are exchanged without naming or checking the origin.",
        "name the target origin, and compare `event.origin` before the data is used",
    ),
    "cors_any": Weakness(
        "Any site may read the answers",
        942,
        MEDIUM,
        "Cross-origin access is allowed for every site, or for the one that asks.",
        "list the allowed origins",
    ),
    "spoofable_identity": Weakness(
        "Decision on data that the client controls",
        290,
        MEDIUM,
        "Access or identity is decided by a name or address that the client can choose.",
        "authenticate the client; never trust its address or its headers",
    ),
}

_CRYPTO = {
    "weak_hash": Weakness(
        "Broken hash algorithm",
        328,
        MEDIUM,
        "A hash algorithm is used for which collisions can be made.",
        "use SHA-256 or better; for passwords argon2, bcrypt or scrypt",
    ),
    "password_hash": Weakness(
        "Password hashed without effort or salt",
        916,
        HIGH,
        "A password is hashed with a fast algorithm, so that it can be guessed.",
        "use argon2, bcrypt, scrypt or PBKDF2 with a salt and many rounds",
    ),
    "fixed_salt": Weakness(
        "Salt that is constant or too short",
        760,
        MEDIUM,
        "Passwords are hashed with a salt that is the same for all or can be guessed.",
        "make a random salt of 16 bytes or more for each password",
    ),
    "weak_cipher": Weakness(
        "Broken cipher or mode",
        327,
        HIGH,
        "Data is encrypted with a cipher or a mode that no longer protects it.",
        "use AES-GCM or ChaCha20-Poly1305",
    ),
    "fixed_iv": Weakness(
        "Initialisation vector that is not random",
        329,
        HIGH,
        "A cipher gets an initialisation vector that is constant or can be guessed.",
        "make a fresh random vector for each message",
    ),
    "weak_key": Weakness(
        "Key too short",
        326,
        HIGH,
        "A key is made that is too short to resist attack.",
        "RSA and DSA keys of 2048 bits or more, elliptic curves of 256",
    ),
    "weak_random": Weakness(
        "Secret made by a predictable generator",
        338,
        HIGH,
        "A secret value is made by a generator whose output can be predicted.",
        "use the system's cryptographic random source",
    ),
    "tls_off": Weakness(
        "Certificate checks switched off",
        295,
        HIGH,
        "Connections are made without checking who answers.",
        "leave verification on; add your own authority to the trusted ones",
    ),
    "weak_tls": Weakness(
        "Outdated protocol version",
        327,
        MEDIUM,
        "An outdated version of TLS or SSL is allowed.",
        "require TLS 1.2 or later",
    ),
    "unverified_token": Weakness(
        "Token used without checking its signature",
        347,
        HIGH,
        "A signed token is read without its signature being checked.",
        "verify with the key and an allow-list of algorithms",
    ),
    "timing_comparison": Weakness(
        "Secret compared in variable time",
        208,
        LOW,
        "A secret is compared with an operator whose time depends on where it differs.",
        "compare secrets with a constant-time function",
    ),
}

_DATA = {
    "unsafe_deserialization": Weakness(
        "Objects built from untrusted data",
        502,
        HIGH,
        "Data from {source} is turned into objects of any class.",
        "use a plain data format, or allow-list the classes",
        (0.52, 0.74, 0.75, 0.95),
    ),
    "xxe": Weakness(
        "XML parser that loads external entities",
        611,
        HIGH,
        "XML is parsed by a parser that is not told to refuse external entities.",
        "forbid document types or external entities before parsing",
        (0.6, 0.7, 0.7, 0.85),
    ),
    "redos": Weakness(
        "Regular expression that can run for ever",
        1333,
        MEDIUM,
        "A regular expression backtracks exponentially on some texts.",
        "rewrite it without nested or overlapping repetition",
    ),
    "insecure_cookie": Weakness(
        "Cookie without protection",
        614,
        MEDIUM,
        "A cookie is set without the flags that keep it from scripts and plain connections.",
        "set Secure, HttpOnly and SameSite",
    ),
    "debug_mode": Weakness(
        "Debugging switched on",
        489,
        LOW,
        "Debugging output is switched on and tells strangers about the inside.",
        "switch it off outside development",
    ),
    "error_details": Weakness(
        "Error details sent to the client",
        209,
        LOW,
        "Details of an error are sent to whoever made the request.",
        "log the details and send a general message",
    ),
    "clear_text": Weakness(
        "Connection without encryption",
        319,
        LOW,
        "Data is fetched or sent over a connection that anybody between can read and change.",
        "use https",
    ),
    "input_validation_off": Weakness(
        "Request validation switched off",
        554,
        MEDIUM,
        "The framework's checks on requests are switched off.",
        "leave them on, and encode what is shown",
    ),
    "uninitialised_buffer": Weakness(
        "Buffer with old memory",
        908,
        LOW,
        "A buffer is made that still holds what was in memory before.",
        "use the variant that clears the buffer",
    ),
    "weak_password_rule": Weakness(
        "Passwords that are too simple",
        521,
        MEDIUM,
        "The rule for passwords allows ones that are quickly guessed.",
        "ask for twelve characters or more, and refuse known passwords",
    ),
}

_MEMORY = {
    "unbounded_read": Weakness(
        "Input read without a limit",
        242,
        HIGH,
        "Input is read into a buffer without any limit on its length.",
        "use fgets or a width in the format",
    ),
    "buffer_copy": Weakness(
        "Copy without a check of the size",
        120,
        HIGH,
        "Data is copied into a buffer of fixed size without a check that it fits.",
        "check the length first, or use a function that takes the buffer's size",
    ),
    "out_of_bounds_write": Weakness(
        "Write outside a buffer",
        787,
        HIGH,
        "Data is written at a place that may lie outside its buffer.",
        "check the index or length against the buffer's size before writing",
    ),
    "out_of_bounds_read": Weakness(
        "Read outside a buffer",
        125,
        HIGH,
        "Data is read from a place that may lie outside its buffer.",
        "check the index or length against what is there before reading",
    ),
    "integer_overflow": Weakness(
        "Size computed without a check for overflow",
        190,
        MEDIUM,
        "A size is computed by arithmetic that can overflow, and then used.",
        "check the operands first, or use calloc or a checked multiplication",
    ),
    "null_dereference": Weakness(
        "Pointer used without a check",
        476,
        MEDIUM,
        "A pointer that may be null is used without a check.",
        "check the pointer and handle the failure",
    ),
    "use_after_free": Weakness(
        "Memory used after it was freed",
        416,
        HIGH,
        "Memory is used after it was given back.",
        "set the pointer to null after freeing, and do not use copies of it",
    ),
    "double_free": Weakness(
        "Memory freed twice",
        415,
        HIGH,
        "Memory is given back twice.",
        "set the pointer to null after freeing it",
    ),
    "pointer_scaling": Weakness(
        "Pointer moved by the wrong unit",
        468,
        MEDIUM,
        "A pointer of one type is moved by a size in another unit.",
        "move it by elements, or cast to a byte pointer first",
    ),
    "dangerous_function": Weakness(
        "Function that is hard to use safely",
        676,
        LOW,
        "A function is used that has a safer successor.",
        "use the successor: strtok_r, strtol and their kin",
    ),
    "unsafe_memory": Weakness(
        "Memory handled without the compiler's checks",
        119,
        MEDIUM,
        "Memory is read or written without the checks of the language.",
        "check bounds and lifetimes first, or use the safe counterpart",
    ),
}

_COMMANDS = {
    "destructive_command": Weakness(
        "Command that destroys data or the system",
        78,
        HIGH,
        "A command deletes, overwrites or disables what the whole machine needs.",
        "name the exact files, and keep a copy",
        category=Category.MALICIOUS_CODE,
    ),
    "exfiltration": Weakness(
        "Command that sends secrets away",
        200,
        HIGH,
        "A command reads secrets or private files and sends them to another machine.",
        "never send keys, passwords or private files to others",
        category=Category.MALICIOUS_CODE,
    ),
    "remote_code": Weakness(
        "Code from the network run unread",
        494,
        HIGH,
        "A script is fetched from the network and run without being looked at.",
        "download it, check its digest, read it, then run it",
        category=Category.MALICIOUS_CODE,
    ),
    "reverse_shell": Weakness(
        "Shell handed to another machine",
        506,
        HIGH,
        "A shell is connected to a network socket.",
        "remove it: it gives control of the machine away",
        category=Category.MALICIOUS_CODE,
    ),
    "persistence": Weakness(
        "Something installed to come back",
        506,
        HIGH,
        "A command plants something that starts again by itself or opens a way in.",
        "remove it, unless a person asked for exactly this",
        category=Category.MALICIOUS_CODE,
    ),
    "privilege": Weakness(
        "Rights raised or protection switched off",
        250,
        HIGH,
        "A command gives away rights or switches protection off.",
        "give the least right that is needed",
        category=Category.MALICIOUS_CODE,
    ),
    "obfuscated_command": Weakness(
        "Command that hides what it does",
        506,
        HIGH,
        "A command is decoded or put together and then run, so that nobody can read it.",
        "write the command in plain text",
        category=Category.MALICIOUS_CODE,
    ),
    "attack_tool": Weakness(
        "Tool for attacks on other machines, or for mining",
        506,
        HIGH,
        "A command runs a tool that breaks into machines, floods them, or uses them up.",
        "run it only against machines that are yours, and only when a person asked for it",
        category=Category.MALICIOUS_CODE,
    ),
    "hidden_tracks": Weakness(
        "Command that wipes its tracks",
        778,
        HIGH,
        "A command deletes logs or the history of commands.",
        "leave logs alone",
        category=Category.MALICIOUS_CODE,
    ),
    "unquoted_variable": Weakness(
        "Variable without quotes where it can do harm",
        78,
        MEDIUM,
        "A variable stands without quotes and is split and expanded by the shell.",
        'quote it: "$name", and put `--` before it',
        (0.5, 0.55, 0.6, 0.7),
    ),
    "secret_argument": Weakness(
        "Secret in a command's arguments",
        214,
        LOW,
        "A password or key stands in a command's arguments, where other users can see it.",
        "pass secrets by a file or by standard input",
    ),
}

WEAKNESSES: Mapping[str, Weakness] = {
    **_INJECTION,
    **_ACCESS,
    **_CRYPTO,
    **_DATA,
    **_MEMORY,
    **_COMMANDS,
}
"""By the second part of a rule's name."""
