"""The closed set of weaknesses that the rules of all languages speak of.

A rule's name is the language and one of these: `java.sql_injection`. A reason never quotes the
code; `{source}` says where untrusted data came from. `profile` says how likely the weakness is, by
who decides the data: nobody knows, a parameter, the program's input, a request.
"""

from collections.abc import Mapping

from bluecode.defenses.checkers.rules.weakness import HIGH, LOW, MEDIUM, Weakness
from bluecode.defenses.checkers.rules.weaknesses_flow import ACCESS, INJECTION
from bluecode.defenses.verdict import Category

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

_SECRETS = {
    "hardcoded_secret": Weakness(
        "Password or key in the code",
        798,
        MEDIUM,
        "A password or key stands in the code, where everybody who reads it can use it.",
        "read it from the environment or a secret store, and change it",
    ),
    "plain_password": Weakness(
        "Password kept in plain text",
        256,
        HIGH,
        "A password is stored or compared as it was typed.",
        "keep only a hash of it by argon2, bcrypt or scrypt, and verify against that",
    ),
    "secret_logged": Weakness(
        "Secret written to a log",
        532,
        MEDIUM,
        "A password or key is written to a log, where others can read it.",
        "leave it out of the log",
    ),
    "session_fixation": Weakness(
        "Session that the client chooses",
        384,
        HIGH,
        "Text from {source} becomes the identifier of a session.",
        "make a new identifier when somebody logs in, and take none from the request",
        (0.0, 0.5, 0.5, 0.8),
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
    "open_admin_route": Weakness(
        "Administrators' route that asks nobody who they are",
        306,
        MEDIUM,
        "A route for administrators shows no check of who the client is.",
        "put a check of the login and the role in front of the handler",
    ),
    "sensitive_answer": Weakness(
        "Record sent with a field that must not be seen",
        200,
        MEDIUM,
        "A password, its hash, or a number that identifies a person or a card is sent.",
        "answer with an allow-list of fields",
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
    "unchecked_result": Weakness(
        "Rights given up without a look at the result",
        252,
        MEDIUM,
        "A call that gives up rights may fail, and nobody looks whether it did.",
        "stop the program when the call fails",
    ),
    "mismatched_free": Weakness(
        "Memory given back in another way than it was taken",
        762,
        MEDIUM,
        "Memory is given back by a call that does not belong to the one that made it.",
        "delete[] for new[], delete for new, free for malloc; or a container",
    ),
    "double_free": Weakness(
        "Memory freed twice",
        415,
        HIGH,
        "Memory is given back twice.",
        "set the pointer to null after freeing it",
    ),
    "stack_address": Weakness(
        "Address of a local variable handed out",
        562,
        HIGH,
        "The address of a local variable is given back, and is void as soon as the function ends.",
        "allocate it, make it static, or let the caller give the buffer",
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
    **INJECTION,
    **ACCESS,
    **_CRYPTO,
    **_SECRETS,
    **_DATA,
    **_MEMORY,
    **_COMMANDS,
}
"""By the second part of a rule's name."""
