"""C and C++: calls, names and settings that matter for safety, apart from memory."""

import re

from bluecode.defenses.checkers.rules.rule import (
    ANY,
    Cleaner,
    Language,
    Property,
    Sink,
    Source,
    Writer,
)
from bluecode.defenses.checkers.rules.secrets import is_password, is_secret
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.tree import EMPTY
from bluecode.defenses.checkers.rules.values import Level
from bluecode.defenses.checkers.rules.words import broken_hash, random_secret


def _open_format(site: Site, index: int) -> bool:
    """Does somebody else decide a format, or a part of it?"""
    form = site.arg(index)
    if form.known is not None or _only_constants(site, index):
        return False
    return not form.text or form.level >= Level.PARAMETER


def _only_constants(site: Site, index: int) -> bool:
    """`"%" PRIu64 "\n"`: nothing but a constant can stand beside a text."""
    node = site.node.args[index] if index < len(site.node.args) else EMPTY
    return node.role == "join" and not node.name and any(p.role == "text" for p in node.args)


def _shell_text(site: Site) -> bool:
    return site.arg(0).known is None


def _open_mode(site: Site) -> float:
    """Rights for others to write, or to read what is secret."""
    node = site.node.args[-1] if site.node.args else None
    if node is None:
        return 0.0
    words = {part.name for part in node.walk() if part.role == "name"}
    bits = 0
    for word in words:
        bits |= _BITS.get(word, 0)
    for part in node.walk():
        if part.role == "number" and re.fullmatch(r"0[0-7]{3,4}", part.name):
            bits |= int(part.name, 8)
    if site.name == "open" and len(site.args) < 3:
        return 0.0
    if bits & 0o002:
        return 0.78
    secret = is_secret(site.purpose) or "secret" in site.purpose
    return 0.62 if bits & 0o077 and secret else 0.0


_BITS = {"S_IRWXU": 0o700, "S_IRUSR": 0o400, "S_IWUSR": 0o200, "S_IRWXG": 0o070, "S_IRGRP": 0o040,
         "S_IWGRP": 0o020, "S_IXGRP": 0o010, "S_IRWXO": 0o007, "S_IROTH": 0o004, "S_IWOTH": 0o002,
         "S_IXOTH": 0o001}  # fmt: skip


def _fixed_vector(site: Site) -> float:
    """The vector of a cipher is a text of the code."""
    vector = site.arg(4)
    if "random" in vector.marks:
        return 0.0
    if vector.level is Level.NONE and vector.known and len(vector.known) >= 8:
        return 0.8
    return 0.0


def _zero_salt(site: Site) -> float:
    salt = site.arg(2)
    if salt.level is Level.NONE and (salt.known or "memset" in salt.path):
        return 0.75
    return 0.0


def _short_key(site: Site) -> float:
    for value in site.args:
        if value.known and value.known.isdigit() and 256 <= int(value.known) < 2048:
            return 0.82
    return 0.0


def _short_key_command(site: Site) -> float:
    text = site.arg(0).shape
    if "openssl" not in text or not re.search(
        r"\b(?:genrsa|dsaparam|genpkey|rsa|req|dhparam)\b", text
    ):
        return 0.0
    return 0.78 if re.search(r"(?:[ :])(?:512|768|1024)\b", text) else 0.0


def _no_key(site: Site) -> float:
    """A token decoded with no key is not verified."""
    node = site.node.args
    if len(node) >= 3 and node[2].role == "constant" and node[2].name in ("null", "nullptr"):
        return 0.75
    return 0.0


def _host_part(site: Site) -> float:
    """A host looked for anywhere in an address."""
    words = " ".join(part.name.lower() for arg in site.node.args for part in arg.walk()
                     if part.role == "name")  # fmt: skip
    return 0.56 if re.search(r"netloc|host|domain|origin", words) and len(site.args) >= 2 else 0.0


def _verify_off(site: Site) -> float:
    for at, arg in enumerate(site.node.args):
        path = ".".join(part.name for part in arg.walk() if part.role == "name")
        if path in ("SSL_VERIFY_NONE", "SSL_VERIFY_NONE "):
            return 0.85
        if path in ("CURLOPT_SSL_VERIFYPEER", "CURLOPT_SSL_VERIFYHOST"):
            off = site.arg(at + 1).known
            return 0.88 if off is not None and off.rstrip("lL") == "0" else 0.0
    return 0.0


def _xml(site: Site) -> float:
    words = {part.name for arg in site.node.args for part in arg.walk() if part.role == "name"}
    return 0.75 if words & {"XML_PARSE_NOENT", "XML_PARSE_DTDLOAD"} else 0.0


def _umask(site: Site) -> float:
    return 0.55 if site.arg(0).known in ("0", "00", "000") else 0.0


_STRONG = ("$2", "$5$", "$6$", "$7$", "$y$", "$gy$", "$argon2")
"""How the salts of bcrypt, SHA-crypt, scrypt, yescrypt and Argon2 begin."""


def _password_hash(site: Site) -> float:
    """`crypt` with a salt of DES or MD5; a stored hash in its place says itself what it is."""
    salt = site.arg(1)
    weak = (
        salt.shape.startswith("$1$") if salt.known is None else not salt.known.startswith(_STRONG)
    )
    return 0.7 if weak and is_password(site.purpose) else 0.0


_CONTAINED = r"\.\.|realpath|canonical|lexically_|SECURE_NODOTDOT"
"""The code looks for ways out of a folder, somewhere."""

RULES = Language(
    name="c",
    sources=(
        Source(
            Level.INPUT, paths=r"^(?:argv|envp|optarg|environ)(?:$|\.|\[)", parameters=r"^argv$"
        ),
        Source(
            Level.INPUT,
            calls="archive_entry_pathname archive_entry_pathname_utf8 getenv secure_getenv "
            "std.getenv getpass readline getline std.getline",
        ),
        Source(
            Level.REQUEST,
            calls="*.get_param_value req.get_param_value FCGX_GetParam crow.query_string",
        ),
    ),
    sinks=(
        Sink(
            "command_injection",
            "system std.system popen _popen wsystem _wsystem ShellExecuteA "
            "WinExec g_spawn_command_line_sync g_spawn_command_line_async boost.process.system "
            "exec_command",
            (0,),
            "shell",
            when=_shell_text,
        ),
        Sink(
            "command_injection",
            "execl execlp execle",
            (ANY,),
            "shell",
            when=lambda s: s.text(0).rpartition("/")[2] in ("sh", "bash", "dash"),
        ),
        Sink(
            "argument_injection",
            "execv execvp execve execlp execl",
            (0,),
            "shell",
            least=Level.PARAMETER,
        ),
        Sink(
            "sql_injection",
            "sqlite3_exec sqlite3_prepare_v2 sqlite3_prepare sqlite3_prepare_v3 "
            "mysql_query mysql_real_query PQexec PQexecParams SQLExecDirect OCIStmtPrepare "
            "*.execute *.exec *.executeQuery *.executeUpdate *.query mysql_stmt_prepare",
            (0, 1),
            "sql",
            built=True,
        ),
        Sink(
            "format_injection",
            "printf vprintf syslog_f",
            (0,),
            "format",
            when=lambda s: s.arg(0).known is None and not _only_constants(s, 0),
        ),
        Sink(
            "format_injection",
            "fprintf sprintf vfprintf vsprintf dprintf syslog asprintf "
            "warn_f swprintf g_error g_warning",
            (1,),
            "format",
            when=lambda s: _open_format(s, 1),
        ),
        Sink(
            "format_injection",
            "snprintf vsnprintf",
            (2,),
            "format",
            when=lambda s: _open_format(s, 2),
        ),
        Sink(
            "path_traversal",
            "fopen open openat creat unlink remove rename mkdir rmdir opendir "
            "std.ifstream std.ofstream new.ifstream new.ofstream new.fstream std.fopen std.remove "
            "fopen64 stat chmod readlink std.filesystem.remove filesystem.remove access",
            (0,),
            "path",
            least=Level.PARAMETER,
        ),
        Sink(
            "path_traversal",
            "path_join join_path path_concat concat_path path_append append_path path_combine "
            "combine_path g_build_filename",
            (1, 2),
            "path",
            least=Level.PARAMETER,
            when=lambda s: len(s.args) > 1,
        ),
        Sink(
            "path_traversal",
            "archive_entry_set_pathname archive_entry_update_pathname_utf8",
            (1,),
            "path",
            least=Level.INPUT,
            factor=1.6,
            when=lambda s: not s.mentions(_CONTAINED),
        ),
        Sink(
            "xpath_injection",
            "xmlXPathEvalExpression xmlXPathEval xmlXPathCompile "
            "*.select_node *.select_nodes *.select_single_node",
            (0,),
            "xpath",
            built=True,
        ),
        Sink(
            "ldap_injection",
            "ldap_search_ext ldap_search_ext_s ldap_search_s",
            (3,),
            "ldap",
            built=True,
        ),
        Sink(
            "regex_injection",
            "new.std.regex std.regex regex regcomp new.regex",
            (0, 1),
            "regex",
            least=Level.PARAMETER,
        ),
        Sink(
            "ssrf",
            "curl_easy_setopt",
            (2,),
            "url",
            least=Level.INPUT,
            when=lambda s: (
                any(p.name == "CURLOPT_URL" for p in s.node.args[1].walk())
                if len(s.node.args) > 2
                else False
            ),
        ),
        Sink("log_injection", "syslog", (ANY,), "line", least=Level.REQUEST),
        Sink(
            "dynamic_import",
            "dlopen LoadLibrary LoadLibraryA LoadLibraryW",
            (0,),
            "path",
            least=Level.PARAMETER,
        ),
        Sink(
            "xss",
            "*.set_content res.set_content crow.response *.write",
            (0,),
            "html",
            least=Level.REQUEST,
        ),
    ),
    properties=(
        Property(
            "weak_hash",
            "MD5 MD5_Init MD5_Update MD4 MD4_Init MD2 MD2_Init SHA1 SHA1_Init "
            "EVP_md5 EVP_sha1 EVP_md4 EVP_md2 CC_MD5 CC_SHA1 gcry_md_md5 MD5Init SHA1Init "
            "SHA1_Update li_MD5_Init mbedtls_md5 mbedtls_sha1 RIPEMD160 EVP_ripemd160 "
            "*.EVP_md5 private_MD4_Init MD5_Final",
            broken_hash,
        ),
        Property(
            "weak_cipher",
            "DES_ecb_encrypt DES_set_key DES_ncbc_encrypt DES_cbc_encrypt "
            "EVP_des_cbc EVP_des_ecb EVP_des_ede3_cbc EVP_des_ede3_ecb EVP_rc4 EVP_rc2_cbc "
            "EVP_bf_cbc EVP_bf_ecb RC4 RC4_set_key BF_encrypt BF_set_key EVP_idea_cbc "
            "DES_set_key_unchecked DES_ede3_cbc_encrypt EVP_cast5_cbc EVP_des_cfb1 "
            "EVP_des_ede3_wrap EVP_des_ede_cbc EVP_des_cfb EVP_des_ede3_cfb DES_encrypt1 "
            "DES_key_sched",
            lambda s: 0.8,
        ),
        Property(
            "weak_cipher",
            "EVP_aes_128_ecb EVP_aes_256_ecb EVP_aes_192_ecb AES_ecb_encrypt AES_encrypt",
            lambda s: 0.72,
        ),
        Property(
            "weak_key",
            "RSA_generate_key RSA_generate_key_ex DSA_generate_parameters_ex "
            "DSA_generate_parameters EVP_PKEY_CTX_set_rsa_keygen_bits RSA_generate "
            "EVP_PKEY_CTX_set_dsa_paramgen_bits EVP_RSA_gen DH_generate_parameters_ex",
            _short_key,
        ),
        Property("weak_key", "system popen std.system exec_command", _short_key_command),
        Property(
            "weak_random",
            "rand random srand std.rand drand48 lrand48 rand_r new.std.mt19937 "
            "std.mt19937 new.mt19937 std.srand",
            random_secret,
        ),
        Property(
            "fixed_iv",
            "EVP_EncryptInit_ex EVP_EncryptInit EVP_CipherInit_ex AES_cbc_encrypt "
            "EVP_EncryptInit_ex2",
            _fixed_vector,
        ),
        Property(
            "fixed_salt", "PKCS5_PBKDF2_HMAC PKCS5_PBKDF2_HMAC_SHA1 EVP_PBE_scrypt", _zero_salt
        ),
        Property("unverified_token", "jwt_decode jwt_decode_2", _no_key),
        Property("weak_host_check", "strstr *.find", _host_part),
        Property("file_permissions", "open chmod fchmod mkdir creat openat", _open_mode),
        Property("file_permissions", "umask", _umask),
        Property(
            "tls_off",
            "SSL_CTX_set_verify SSL_set_verify curl_easy_setopt *.set_verify_mode",
            _verify_off,
        ),
        Property(
            "xxe",
            "xmlReadMemory xmlReadFile xmlCtxtReadMemory xmlCtxtReadFile xmlCtxtUseOptions",
            _xml,
        ),
        Property(
            "weak_tls",
            "SSLv2_client_method SSLv3_client_method SSLv3_method "
            "SSLv23_client_method TLSv1_method TLSv1_client_method TLSv1_1_client_method",
            lambda s: 0.7 if not s.name.startswith("SSLv23") else 0.0,
        ),
        Property("password_hash", "crypt", _password_hash),
    ),
    cleaners=(
        Cleaner(
            "atoi atol atoll strtol strtoul strtoll strtoull strtod stoi stol stoul std.stoi "
            "std.stoul std.stol std.to_string to_string std.strtol std.atoi strlen",
            "all",
        ),
        Cleaner("basename std.filesystem.path.filename *.filename", "path"),
        Cleaner("curl_easy_escape curl_escape", "url html path line", 1),
        Cleaner(
            "mysql_real_escape_string PQescapeLiteral PQescapeStringConn sqlite3_mprintf "
            "*.quote *.esc mysql_escape_string",
            "sql",
            0,
        ),
        Cleaner("_ gettext N_ dgettext ngettext", "all"),
        Cleaner(
            "realpath canonicalize_file_name std.filesystem.canonical "
            "std.filesystem.weakly_canonical filesystem.canonical",
            "none",
        ),
    ),
    writers=(
        Writer("sprintf vsprintf", 0, (), format=1),
        Writer("snprintf vsnprintf", 0, (), format=2),
        Writer("asprintf", 0, (), format=1),
        Writer("strcpy strncpy stpcpy strlcpy memcpy memmove", 0, (1,)),
        Writer("strcat strncat strlcat", 0, (1,), keeps=True),
        Writer("fgets", 0, (), level=Level.INPUT),
        Writer("gets", 0, (), level=Level.INPUT),
        Writer("read recv", 1, (), level=Level.INPUT),
        Writer("fread", 0, (), level=Level.INPUT),
        Writer("getline std.getline", 1, (), level=Level.INPUT),
        Writer("scanf", 1, (), level=Level.INPUT),
        Writer("fscanf", 2, (), level=Level.INPUT),
        Writer("*.>>", 0, (), level=Level.INPUT),
        Writer(
            "RAND_bytes RAND_priv_bytes getrandom getentropy arc4random_buf", 0, (), mark="random"
        ),
        Writer("memset", 0, (1,)),
        Writer("realpath", 1, (0,), mark="resolved"),
    ),
    formats="fmt.format std.format absl.StrFormat g_strdup_printf fmt.sprintf StringPrintf",
    joins="std.filesystem.path filesystem.path g_build_filename",
    resolves="realpath canonicalize_file_name std.filesystem.canonical filesystem.canonical "
    "std.filesystem.weakly_canonical filesystem.weakly_canonical *.lexically_normal "
    "std.filesystem.absolute weakly_canonical canonical",
    harmless=r"^(?:(?:unsigned |signed |const |static )*(?:int|char|short|long|float|double|bool|"
    r"size_t|u?int\d+_t|ssize_t)\s*&?$)|FILE|sqlite3|\bstd::(?:function|shared_ptr|unique_ptr)|"
    r"^(?:struct|enum) |_ctx\b|\bCtx|Context|_t\s*\*?$",
    trusted=r"^(?:ctx|context|db|conn|stream|fp|file|fd|out|output|result|dest|dst|self|this|"
    r"logger|cb|callback|env|ret|len|size|count|n|i|format|fmt)$",
    globals=r"^(?:stdin|stdout|stderr|errno|NULL|nullptr|true|false|std\.(?:endl|cout|cerr|cin)|"
    r"__func__|__FILE__|__LINE__|npos|std|PRI[a-zA-Z]+\d*|SCN[a-z]+\d*)\b",
    ends="exit abort _exit err errx die std.exit std.abort std.terminate _Exit panic "
    "__builtin_unreachable",
    advice={
        "command_injection": "use posix_spawn or execv with a fixed program and separate arguments",
        "sql_injection": "use sqlite3_bind_* or prepared statements with placeholders",
        "format_injection": 'write printf("%s", text)',
        "path_traversal": "resolve with realpath and compare with the allowed folder and a slash",
        "weak_random": "use getrandom, arc4random or RAND_bytes",
    },
)
"""Shared by both languages; what only one has does no harm in the other."""
