"""Rust: what its calls, macros and `unsafe` blocks mean for safety."""

import re

from bluecode.defenses.checkers.rules.keeping import literal_secret, logs_secret
from bluecode.defenses.checkers.rules.rule import (
    ANY,
    BASE,
    Cleaner,
    Language,
    Property,
    Sink,
    Source,
)
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.values import Level
from bluecode.defenses.checkers.rules.words import (
    broken_hash,
    chooses_host,
    few_bits,
    leads_away,
    mode_for_others,
    random_secret,
    speaks_sql,
)


def _runs_shell(site: Site) -> bool:
    """`Command::new("sh").arg("-c").arg(x)`: the third part is read by a shell."""
    node = site.node
    words: list[str] = []
    while node is not None and node.role == "call":
        words += [part.name for part in node.args if part.role == "text"]
        if node.args and node.args[0].role == "array":
            words += [part.name for part in node.args[0].args if part.role == "text"]
        if node.base is None or node.base.role != "call":
            break
        node = node.base
    shells = {"sh", "bash", "/bin/sh", "/bin/bash", "cmd", "powershell", "zsh", "cmd.exe"}
    return bool(shells & set(words)) and bool({"-c", "/C", "/c", "-Command"} & set(words))


def _accepts(site: Site) -> float:
    return 0.87 if site.arg(0).known == "true" else (0.55 if site.arg(0).known is None else 0.0)


_FOLLOWED = r"\bparent\(|\bpop\(|\bjoin\(|with_file_name|Command::new|dir_path"


def _beside(site: Site) -> float:
    """Code that goes from its own place to other files."""
    return 0.5 if site.mentions(_FOLLOWED) else 0.0


def _mode(site: Site) -> float:
    return mode_for_others(site.arg(0).known, site.purpose)


RULES = Language(
    name="rust",
    sources=(
        Source(
            Level.REQUEST,
            types=r"\b(?:Query|Path|Form|Json|web::(?:Query|Path|Form|Json)|Multipart)\s*<|"
            r"HttpRequest|&?\s*Request(?:<|$)",
            calls="field.file_name Field.file_name req.query_string req.match_info req.headers "
            "*.query_pairs req.uri",
        ),
        Source(
            Level.INPUT,
            calls="env.args std.env.args env.args_os env.var std.env.var "
            "env.var_os std.env.args_os args_os args",
        ),
    ),
    sinks=(
        Sink("command_injection", "*.arg *.args", (0,), "shell", when=_runs_shell),
        Sink("argument_injection", "Command.new", (0,), "shell", least=Level.UNKNOWN, factor=1.3),
        Sink(
            "sql_injection",
            "*.execute *.query *.query_row *.prepare sqlx.query *.query_map "
            "sql_query diesel.sql_query *.fetch_all *.query_one *.batch_execute *.simple_query "
            "sqlx.query_as *.execute_batch *.query_opt sqlx.query_scalar",
            (0,),
            "sql",
            built=True,
            when=speaks_sql,
        ),
        Sink(
            "path_traversal",
            "File.open fs.read fs.read_to_string fs.write fs.remove_file "
            "File.create fs.remove_dir_all fs.copy fs.rename std.fs.read_to_string std.fs.read "
            "std.fs.remove_file std.fs.File.open NamedFile.open fs.create_dir_all "
            "fs.read_dir tokio.fs.read OpenOptions.open",
            (0,),
            "path",
        ),
        Sink(
            "xss",
            "Html RawHtml *.body PreEscaped",
            (0,),
            "html",
            least=Level.PARAMETER,
            built=True,
            when=lambda s: s.name != "body" or "<" in s.arg(0).shape,
        ),
        Sink(
            "open_redirect",
            "Redirect.to Redirect.temporary Redirect.permanent",
            (0,),
            "redirect",
            least=Level.PARAMETER,
            when=leads_away,
        ),
        Sink(
            "ssrf",
            "reqwest.get client.get *.get Client.get reqwest.blocking.get ureq.get",
            (0,),
            "url",
            least=Level.INPUT,
            when=lambda s: (
                chooses_host(s)
                and (
                    "client" in s.base.path.lower()
                    or "reqwest" in s.base.path
                    or "ureq" in s.base.path
                )
            ),
        ),
        Sink("regex_injection", "Regex.new", (0,), "regex", least=Level.REQUEST, factor=0.8),
        Sink(
            "dynamic_import",
            "Library.new libloading.Library.new",
            (0,),
            "path",
            least=Level.PARAMETER,
        ),
        Sink("log_injection", "info! warn! error!", (ANY,), "line", least=Level.REQUEST),
    ),
    properties=(
        Property(
            "hardcoded_secret", "EncodingKey.from_secret DecodingKey.from_secret", literal_secret(0)
        ),
        Property("secret_logged", "info! debug! warn! error! log.info! trace!", logs_secret),
        Property(
            "unsafe_memory",
            "*.get_unchecked *.get_unchecked_mut slice.get_unchecked",
            lambda s: 0.6,
        ),
        Property(
            "unsafe_memory",
            "mem.transmute std.mem.transmute transmute mem.transmute_copy",
            lambda s: 0.62,
        ),
        Property(
            "unsafe_memory",
            "slice.from_raw_parts slice.from_raw_parts_mut "
            "std.slice.from_raw_parts Vec.from_raw_parts String.from_raw_parts "
            "std.slice.from_raw_parts_mut from_raw_parts str.from_utf8_unchecked "
            "String.from_utf8_unchecked",
            lambda s: 0.58,
        ),
        Property(
            "unsafe_memory",
            "mem.uninitialized mem.zeroed *.set_len std.mem.uninitialized "
            "MaybeUninit.uninit().assume_init",
            lambda s: 0.6,
        ),
        Property(
            "weak_hash",
            "Md5.new Sha1.new md5.compute Md5.digest Sha1.digest Md4.new "
            "MessageDigest.md5 MessageDigest.sha1 Sha1.from md5.Md5.new sha1.Sha1.new "
            "Context.new Sha1.default Md5.default",
            lambda s: (
                broken_hash(s)
                if s.name != "new" or re.search(r"(?i)md[45]|sha1$", s.base.path)
                else 0.0
            ),
        ),
        Property(
            "weak_cipher",
            "Des.new TdesEde3.new Rc4.new Cipher.des_cbc Cipher.rc4 "
            "Cipher.aes_128_ecb Cipher.aes_256_ecb Cipher.des_ecb",
            lambda s: 0.8,
        ),
        Property(
            "weak_key",
            "Rsa.generate RsaPrivateKey.new",
            lambda s: max(few_bits()(s), few_bits(2048, 1)(s)),
        ),
        Property(
            "weak_random",
            "SmallRng.from_entropy StdRng.seed_from_u64 "
            "SmallRng.seed_from_u64 fastrand.u64 fastrand.u32 oorandom.Rand64.new",
            random_secret,
        ),
        Property(
            "tls_off", "*.danger_accept_invalid_certs *.danger_accept_invalid_hostnames", _accepts
        ),
        Property(
            "tls_off",
            "*.set_verify",
            lambda s: 0.86 if any("NONE" in p.name for a in s.node.args for p in a.walk()) else 0.0,
        ),
        Property(
            "tls_off",
            "*.dangerous *.set_certificate_verifier",
            lambda s: 0.55 if s.name == "set_certificate_verifier" else 0.0,
        ),
        Property(
            "unverified_token",
            "*.insecure_disable_signature_validation "
            "jsonwebtoken.dangerous_insecure_decode dangerous_insecure_decode",
            lambda s: 0.85,
        ),
        Property("file_permissions", "*.set_mode *.mode Permissions.from_mode", _mode),
        Property(
            "temporary_file",
            "env.temp_dir std.env.temp_dir temp_dir",
            lambda s: 0.5 if not s.mentions(r"tempfile|create_new|uuid|Uuid|rand") else 0.0,
        ),
        Property(
            "search_path", "env.current_exe std.env.current_exe current_exe self_exe_name", _beside
        ),
        Property(
            "cors_any",
            "Cors.permissive CorsLayer.permissive CorsLayer.very_permissive *.allow_any_origin",
            lambda s: 0.5,
        ),
    ),
    cleaners=(
        Cleaner("*.parse *.len Uuid.parse_str u32.from_str i32.from_str", "all", BASE),
        Cleaner("*.file_name", "path", BASE),
        Cleaner(
            "html_escape.encode_text html_escape.encode_safe ammonia.clean encode_text "
            "escape_html encode_safe",
            "html",
        ),
        Cleaner("shell_escape.escape shlex.quote shell_words.quote shlex.try_quote", "shell"),
        Cleaner("regex.escape", "regex"),
        Cleaner("urlencoding.encode utf8_percent_encode encode", "url path html line redirect"),
    ),
    formats="format! format_args! concat! write! println!",
    joins="*.join Path.new PathBuf.from",
    resolves="*.canonicalize fs.canonicalize std.fs.canonicalize *.absolutize",
    harmless=r"^(?:&?(?:mut )?(?:[iu](?:8|16|32|64|128|size)|f32|f64|bool|char|Duration|Instant|"
    r"Uuid|\(\))|&?(?:mut )?self|impl Fn.*|Arc<.*|&?(?:mut )?(?:Connection|Pool|PgPool|Client|"
    r"SqlitePool).*)$",
    trusted=r"^(?:self|conn|db|pool|client|ctx|cx|f|fmt|state|tx)$",
    globals=r"^(?:std|env|fs|Path|PathBuf|String|Vec|Command|File|Ok|Err|Some|None|Self|true|"
    r"false|self|Default|Box|Rc|Arc)\b",
    ends="panic! exit process.exit std.process.exit unreachable! todo! unimplemented! bail!",
    implicit_return=True,
    linear_regex=True,
    advice={
        "command_injection": "run the program itself with .arg for each argument, without a shell",
        "sql_injection": 'use bind parameters: query("… WHERE id = $1").bind(id)',
        "unsafe_memory": "use the checked form, or say in a SAFETY comment why it holds",
        "path_traversal": "canonicalize, then check starts_with on the allowed folder",
        "weak_random": "use rand::rngs::OsRng or getrandom",
        "temporary_file": "use the tempfile crate",
    },
)
