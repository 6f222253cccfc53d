"""PHP: what its calls, options and names mean for safety."""

import re

from bluecode.defenses.checkers.rules.keeping import literal_secret, logs_secret, stores_typed
from bluecode.defenses.checkers.rules.php_calls import (
    argument_names,
    backtracks,
    cipher,
    cookie,
    curl,
    debug,
    fixed_vector,
    goes_away,
    hash_call,
    is_redirect,
    mode,
    named_hash,
    password_hash,
    unique,
    xml,
)
from bluecode.defenses.checkers.rules.rule import (
    ANY,
    Check,
    Cleaner,
    Language,
    Property,
    Setting,
    Sink,
    Source,
)
from bluecode.defenses.checkers.rules.secrets import is_password
from bluecode.defenses.checkers.rules.values import Level
from bluecode.defenses.checkers.rules.words import (
    chooses_host,
    random_secret,
    shared_folder,
    speaks_sql,
)

RULES = Language(
    name="php",
    sources=(
        Source(
            Level.REQUEST,
            paths=r"^_(?:GET|POST|REQUEST|COOKIE|FILES)\b|^_SERVER\.(?:QUERY_STRING|REQUEST_URI|"
            r"PHP_SELF|HTTP_\w+|PATH_INFO|PHP_AUTH_\w+)|^(?:HTTP_GET_VARS|HTTP_POST_VARS)\b",
        ),
        Source(Level.UNKNOWN, paths=r"^_(?:SERVER|SESSION|ENV)\b"),
        Source(
            Level.REQUEST,
            acts_as="Request",
            types=r"^\\?(?:\w+\\)*(?:Request|ServerRequestInterface|FormRequest|RequestInterface)$",
            parameters=r"^request$",
        ),
        Source(
            Level.REQUEST,
            calls="*.input Request.get Request.query request.get request.query Request.all "
            "request.all filter_input request.input *.getQueryParams *.getParsedBody "
            "request.post *.getClientOriginalName Input.get request Request.cookie "
            "request.cookie Request.header *.getPost *.getQuery apache_request_headers "
            "getallheaders",
        ),
        Source(Level.INPUT, paths=r"^argv\b", calls="getenv fgets readline stream_get_contents"),
    ),
    sinks=(
        Sink(
            "command_injection",
            "system exec shell_exec passthru popen proc_open pcntl_exec ` "
            "Process.fromShellCommandline",
            (0,),
            "shell",
            when=lambda s: not s.arg(0).items,
        ),
        Sink("command_injection", "mail", (4,), "shell"),
        Sink(
            "sql_injection",
            "mysqli_query mysql_db_query pg_query mysqli_multi_query "
            "mysqli_prepare pg_prepare sqlsrv_query mysqli_real_query oci_parse odbc_exec",
            (1, 2),
            "sql",
            when=lambda s: speaks_sql(s, 1) or speaks_sql(s, 2) or s.arg(1).level > Level.PARAMETER,
        ),
        Sink(
            "sql_injection",
            "mysql_query pg_query sqlite_query db_query mysql_unbuffered_query",
            (0,),
            "sql",
            when=lambda s: speaks_sql(s) or s.arg(0).level > Level.PARAMETER,
        ),
        Sink(
            "sql_injection",
            "*.query *.exec *.prepare *.execute *.multi_query *.rawQuery "
            "*.real_query *.get_results *.get_row *.get_var *.executeQuery *.select *.statement "
            "*.createQuery *.fetchAll *.executeStatement *.fetchAllAssociative *.fetchAssociative "
            "*.fetchOne *.fetchFirstColumn *.fetchAllKeyValue",
            (0,),
            "sql",
            built=True,
            when=speaks_sql,
        ),
        Sink(
            "sql_injection",
            "DB.raw *.whereRaw *.selectRaw *.orderByRaw *.havingRaw DB.select "
            "DB.statement DB.unprepared",
            (0,),
            "sql",
            built=True,
        ),
        Sink(
            "nosql_injection",
            "*.findOne *.find *.updateOne *.deleteOne *.deleteMany *.countDocuments",
            (0,),
            "nosql",
            least=Level.REQUEST,
            when=lambda s: bool(s.arg(0).fields) or s.arg(0).path.startswith("_"),
        ),
        Sink("code_injection", "eval assert create_function", (ANY,), "code"),
        Sink(
            "code_injection",
            "call_user_func call_user_func_array array_map usort",
            (0,),
            "code",
            least=Level.INPUT,
        ),
        Sink(
            "code_injection",
            "preg_replace",
            (0, 1),
            "code",
            least=Level.REQUEST,
            when=lambda s: bool(re.search(r"/\w*e\w*$", s.arg(0).known or "")),
        ),
        Sink("dynamic_import", "include include_once require require_once", (0,), "path"),
        Sink(
            "xss", "echo print printf print_r die exit vprintf", (ANY,), "html", least=Level.REQUEST
        ),
        Sink(
            "unsafe_deserialization",
            "unserialize yaml_parse",
            (0,),
            "objects",
            when=lambda s: s.option("allowed_classes") is None,
        ),
        Sink(
            "path_traversal",
            "file_get_contents fopen readfile file file_put_contents unlink "
            "copy rename rmdir mkdir scandir opendir highlight_file show_source parse_ini_file "
            "is_file file_exists simplexml_load_file ZipArchive.open imagecreatefrompng "
            "Storage.get Storage.delete Storage.download",
            (0,),
            "path",
        ),
        Sink(
            "path_traversal",
            "response().download *.download *.sendFile",
            (0,),
            "path",
            least=Level.INPUT,
        ),
        Sink(
            "ssrf",
            "file_get_contents curl_init fsockopen get_headers Http.get Guzzle.get *.request",
            (0,),
            "url",
            least=Level.REQUEST,
            when=chooses_host,
        ),
        Sink(
            "ssrf",
            "curl_setopt",
            (2,),
            "url",
            least=Level.INPUT,
            when=lambda s: (
                len(s.node.args) > 2 and s.node.args[1].name == "CURLOPT_URL" and chooses_host(s, 2)
            ),
        ),
        Sink("open_redirect", "header", (0,), "redirect", least=Level.INPUT, when=goes_away),
        Sink(
            "open_redirect",
            "redirect *.redirect wp_redirect *.away redirect().to",
            (0,),
            "redirect",
            least=Level.INPUT,
        ),
        Sink(
            "header_injection",
            "header",
            (0,),
            "line",
            least=Level.INPUT,
            when=lambda s: not is_redirect(s),
        ),
        Sink("unsafe_upload", "move_uploaded_file", (1,), "upload", least=Level.INPUT),
        Sink(
            "mass_assignment",
            "extract parse_str import_request_variables",
            (0,),
            "fields",
            least=Level.REQUEST,
        ),
        Sink(
            "mass_assignment",
            "*.create *.update *.fill *.forceFill",
            (0,),
            "fields",
            least=Level.REQUEST,
            when=lambda s: s.arg(0).path.endswith(("all()", "_POST")),
        ),
        Sink(
            "reflection",
            "new.ReflectionClass new.ReflectionMethod",
            (0,),
            "code",
            least=Level.INPUT,
        ),
        Sink("ldap_injection", "ldap_search ldap_list ldap_read", (2,), "ldap", built=True),
        Sink(
            "xpath_injection",
            "*.xpath *.query *.evaluate",
            (0,),
            "xpath",
            built=True,
            when=lambda s: s.arg(0).shape.lstrip().startswith("/"),
        ),
        Sink(
            "regex_injection",
            "preg_match preg_replace preg_split preg_match_all",
            (0,),
            "regex",
            least=Level.INPUT,
        ),
        Sink("header_injection", "mail", (0, 1, 3), "line", least=Level.REQUEST),
        Sink("session_fixation", "session_id", (0,), "session", least=Level.INPUT),
        Sink("log_injection", "error_log syslog", (0, 1), "line", least=Level.REQUEST),
        Sink(
            "template_injection",
            "*.createTemplate *.render Blade.compileString Blade.render",
            (0,),
            "template",
            least=Level.INPUT,
            when=lambda s: s.name != "render" or "built" in s.arg(0).marks,
        ),
    ),
    properties=(
        Property(
            "hardcoded_secret", "new.PDO mysqli_connect new.mysqli mysql_connect", literal_secret(2)
        ),
        Property("hardcoded_secret", "JWT.encode JWT.decode", literal_secret(1)),
        Property("hardcoded_secret", "hash_hmac openssl_encrypt", literal_secret(2)),
        Property(
            "secret_logged", "error_log *.info *.debug Log.info Log.debug syslog", logs_secret
        ),
        Property(
            "plain_password",
            "mysqli_query *.query *.execute *.exec *.prepare DB.insert",
            stores_typed,
        ),
        Property("redos", "preg_match preg_match_all preg_replace preg_split", backtracks),
        Property("weak_hash", "md5 sha1", hash_call),
        Property("password_hash", "md5 sha1 crc32", password_hash),
        Property("weak_hash", "hash hash_hmac", named_hash),
        Property(
            "password_hash",
            "hash",
            lambda s: (
                0.7 if is_password(argument_names(s)) and s.text(0).startswith("sha") else 0.0
            ),
        ),
        Property("weak_cipher", "openssl_encrypt openssl_decrypt", cipher),
        Property(
            "weak_cipher",
            "mcrypt_encrypt mcrypt_decrypt mcrypt_ecb mcrypt_module_open",
            lambda s: 0.8,
        ),
        Property("fixed_iv", "openssl_encrypt", fixed_vector),
        Property(
            "weak_random", "rand mt_rand lcg_value shuffle str_shuffle array_rand", random_secret
        ),
        Property("weak_random", "uniqid", unique),
        Property("insecure_cookie", "setcookie setrawcookie", cookie),
        Property("tls_off", "curl_setopt", curl),
        Property("xxe", "simplexml_load_string simplexml_load_file *.loadXML *.load", xml),
        Property(
            "xxe",
            "libxml_disable_entity_loader",
            lambda s: 0.7 if s.arg(0).known == "false" else 0.0,
        ),
        Property("debug_mode", "ini_set error_reporting", debug),
        Property("file_permissions", "chmod mkdir", mode),
        Property(
            "file_permissions",
            "umask",
            lambda s: 0.55 if s.arg(0).known in ("0", "0000", "000") else 0.0,
        ),
        Property(
            "cors_any",
            "header",
            lambda s: (
                0.5 if re.match(r"(?i)access-control-allow-origin:\s*\*", s.arg(0).shape) else 0.0
            ),
        ),
        Property("temporary_file", "fopen file_put_contents", shared_folder),
    ),
    settings=(
        Setting(
            "tls_off",
            "verify_peer verify_peer_name CURLOPT_SSL_VERIFYPEER verify allow_self_signed",
            lambda v: v.known in ("false", "0"),
            0.82,
        ),
        Setting("insecure_cookie", "httponly secure", lambda v: v.known == "false", 0.6),
        Setting(
            "spoofable_identity",
            "clientip ip ipaddress ip_address ipAddress userip remoteip",
            lambda v: bool(
                re.search(r"_SERVER\.HTTP_(?:X_FORWARDED|CLIENT_IP|X_REAL|FORWARDED)", v.path)
            ),
            0.55,
        ),
    ),
    stores=(),
    cleaners=(
        Cleaner(
            "intval floatval (int) (float) is_numeric count strlen ctype_digit boolval "
            "filter_var password_hash bin2hex strtotime round number_format",
            "all",
        ),
        Cleaner(
            "htmlspecialchars htmlentities esc_html esc_attr strip_tags e esc_url "
            "HTMLPurifier.purify *.purify h wp_kses filter_xss check_plain "
            "sanitize_text_field",
            "html",
        ),
        Cleaner("escapeshellarg escapeshellcmd", "shell"),
        Cleaner("mysqli_real_escape_string", "sql", 1),
        Cleaner(
            "mysql_real_escape_string addslashes pg_escape_string *.quote *.real_escape_string "
            "*.escape esc_sql *.prepare sqlite_escape_string pg_escape_literal",
            "sql",
        ),
        Cleaner("basename", "path"),
        Cleaner("urlencode rawurlencode http_build_query", "url path html line redirect"),
        Cleaner("preg_quote", "regex"),
        Cleaner("ldap_escape", "ldap"),
        Cleaner("json_encode", "line"),
        Cleaner("md5 sha1 hash base64_encode", "all"),
    ),
    checks=(
        Check("in_array", "all"),
        Check("array_key_exists", "all"),
        Check("ctype_alnum ctype_alpha ctype_digit is_numeric is_int", "all"),
        Check("file_exists is_file", "none"),
    ),
    formats="sprintf vsprintf",
    joins="implode join",
    resolves="realpath",
    harmless=r"^\??(?:int|float|bool|callable|Closure|DateTime\w*|PDO|mysqli|\w+Interface|"
    r"\w+Repository|\w+Service)$",
    trusted=r"^(?:db|conn|connection|pdo|mysqli|link|logger|this|response|res|app|container|"
    r"callback|e|ex)$",
    globals=r"^(?:this|self|static|parent|true|false|null|PHP_EOL|__DIR__|__FILE__|DIRECTORY_SEPARATOR|"
    r"ABSPATH|conn|db|link|mysqli|pdo|DB|Storage|wpdb|GLOBALS)\b",
    ends="exit die wp_die abort",
    advice={
        "command_injection": "wrap every argument in escapeshellarg, or do without a shell",
        "sql_injection": "use prepared statements: prepare('… WHERE id = ?') and execute([$id])",
        "xss": "wrap the value in htmlspecialchars($x, ENT_QUOTES)",
        "dynamic_import": "map the name to a file by a fixed array",
        "unsafe_deserialization": "use json_decode, or unserialize with allowed_classes => false",
        "password_hash": "use password_hash and password_verify",
        "weak_random": "use random_bytes or random_int",
        "path_traversal": "use basename, or realpath and compare with the allowed folder",
    },
)
