"""Go: what its calls, options and names mean for safety."""

import re

from bluecode.defenses.checkers.rules.keeping import literal_secret, logs_secret, stores_typed
from bluecode.defenses.checkers.rules.rule import (
    ANY,
    BASE,
    Check,
    Cleaner,
    Language,
    Property,
    Setting,
    Sink,
    Source,
    Writer,
)
from bluecode.defenses.checkers.rules.secrets import is_password, names_login
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.tree import path_of
from bluecode.defenses.checkers.rules.values import Level
from bluecode.defenses.checkers.rules.words import (
    broken_hash,
    chooses_host,
    cors_header,
    few_bits,
    is_shell,
    leads_away,
    mode_for_others,
    more_than_address,
    plain_address,
    random_secret,
    shared_folder,
    speaks_sql,
)


def _mode(site: Site) -> float:
    return mode_for_others(site.args[-1].known, site.purpose) if site.args else 0.0


def _fixed_vector(site: Site) -> float:
    vector = site.arg(1)
    made_here = vector.path.startswith("make") or bool(vector.items) or bool(vector.known)
    if vector.level is Level.NONE and made_here and not vector.marks & {"random"}:
        return 0.8
    return 0.0


def _fixed_salt(site: Site) -> float:
    salt = site.arg(1)
    fixed = salt.level is Level.NONE and (bool(salt.known) or salt.path.startswith("make")
                                          or bool(salt.items))  # fmt: skip
    return 0.75 if fixed and "random" not in salt.marks else 0.0


_HOST = re.compile(r"^(?:host|origin)$|netloc|hostname|(?:^|_|target|url)(?:host|domain)$")


def _host_part(site: Site) -> float:
    """`strings.Contains(u.Host, domain)` accepts hosts that only look alike."""
    looked = site.arg(0).path.lower()
    written = site.node.args[0] if site.node.args else None
    name = written.name.lower() if written is not None and written.role == "member" else ""
    if written is not None and written.role == "name":
        name = written.name.lower()
    if not (re.search(r"\.(?:host|hostname\(\)|hostname)$", looked) or _HOST.search(name)):
        return 0.0
    known = site.arg(1).known
    return 0.6 if known is None or re.search(r"\w", known) else 0.0


def _cookie(site: Site) -> float:
    """A cookie for a login that is given neither flag."""
    if site.mentions(r"\b(?:HttpOnly|Secure)\b"):
        return 0.0
    name = site.option("Name")
    words = (name.known or "").lower() if name is not None else ""
    return 0.6 if names_login(words) else 0.45


def _said(site: Site) -> str:
    """The names in what a call is given."""
    parts = (part for arg in site.node.args for part in arg.walk())
    return " ".join(part.name for part in parts if part.role in ("name", "member", "call"))


def _narrows(site: Site) -> float:
    """`int32(n)` of a number as wide as the machine's, with no look at how large it is."""
    if not site.arg(0).path.startswith("strconv.Atoi") or not site.node.args:
        return 0.0
    name = path_of(site.node.args[0])
    compared = rf"\b{re.escape(name)}\s*[<>]|[<>]=?\s*{re.escape(name)}\b"
    return 0.55 if name and not site.mentions(compared) else 0.0


RULES = Language(
    name="go",
    sources=(
        Source(
            Level.REQUEST,
            acts_as="http.Request",
            types=r"\*?http\.Request$",
            paths=r"^http\.Request\.(?:URL|Form|PostForm|Header|Body|Host|RequestURI|"
            r"MultipartForm|Cookies|Referer)|^(?:r|req|request)\.(?:URL\.|Form\b|PostForm\b|"
            r"Header\.|RequestURI)",
        ),
        Source(
            Level.REQUEST,
            calls="*.FormValue *.PostFormValue *.PathValue c.Query c.Param c.PostForm "
            "c.GetHeader c.DefaultQuery c.DefaultPostForm ctx.Query ctx.Param ctx.Params "
            "ctx.FormValue mux.Vars *.QueryParam chi.URLParam *.URLParam c.Cookie ctx.QueryParam "
            "*.UserAgent *.Referer *.FormFile gin.Context.Query gin.Context.Param "
            "gin.Context.PostForm echo.Context.QueryParam echo.Context.Param fiber.Ctx.Query "
            "fiber.Ctx.Params",
        ),
        Source(
            Level.INPUT,
            paths=r"^os\.Args\b",
            calls="os.Getenv os.LookupEnv flag.Arg "
            "flag.Args *.ReadString bufio.NewReader().ReadString *.Text flag.String",
        ),
    ),
    sinks=(
        Sink("command_injection", "exec.Command syscall.Exec", (2, 3), "shell", when=is_shell),
        Sink(
            "command_injection",
            "exec.CommandContext",
            (3, 4),
            "shell",
            when=lambda s: is_shell(s, 1),
        ),
        Sink("argument_injection", "exec.Command", (0,), "shell", least=Level.PARAMETER),
        Sink(
            "sql_injection",
            "*.Query *.QueryRow *.Exec *.Prepare *.Raw *.Queryx *.Select *.Get "
            "*.MustExec *.NamedExec",
            (0,),
            "sql",
            built=True,
            when=speaks_sql,
        ),
        Sink(
            "sql_injection",
            "*.Select *.Get",
            (1,),
            "sql",
            built=True,
            when=lambda s: speaks_sql(s, 1),
        ),
        Sink(
            "sql_injection",
            "*.SelectContext *.GetContext",
            (2,),
            "sql",
            built=True,
            when=lambda s: speaks_sql(s, 2),
        ),
        Sink(
            "sql_injection",
            "*.QueryContext *.ExecContext *.QueryRowContext *.PrepareContext "
            "*.SelectContext *.GetContext",
            (1,),
            "sql",
            built=True,
            when=lambda s: speaks_sql(s, 1),
        ),
        Sink("sql_injection", "*.Where *.Order *.Having *.Joins *.Group", (0,), "sql", built=True),
        Sink(
            "path_traversal",
            "os.Open os.OpenFile os.Create os.ReadFile os.WriteFile os.Remove "
            "os.RemoveAll os.ReadDir os.Mkdir os.MkdirAll os.Rename os.Stat ioutil.ReadFile "
            "ioutil.WriteFile ioutil.ReadDir os.Symlink os.Chmod",
            (0,),
            "path",
        ),
        Sink("path_traversal", "http.ServeFile", (2,), "path"),
        Sink("path_traversal", "c.File ctx.File c.SendFile c.FileAttachment", (0,), "path"),
        Sink(
            "xss",
            "*.Write io.WriteString fmt.Fprintf fmt.Fprint fmt.Fprintln",
            (ANY,),
            "html",
            least=Level.INPUT,
            when=lambda s: _writes_page(s),
        ),
        Sink(
            "xss",
            "template.HTML template.JS template.URL template.HTMLAttr template.CSS "
            "html/template.HTML",
            (0,),
            "html",
            factor=1.1,
        ),
        Sink(
            "xss",
            "*.Execute",
            (1,),
            "html",
            least=Level.REQUEST,
            when=lambda s: s.mentions(r'"text/template"') and _to_browser(s),
        ),
        Sink(
            "xss",
            "*.ExecuteTemplate",
            (2,),
            "html",
            least=Level.REQUEST,
            when=lambda s: s.mentions(r'"text/template"') and _to_browser(s),
        ),
        Sink("xss", "c.Data", (2,), "html", least=Level.REQUEST),
        Sink(
            "open_redirect",
            "http.Redirect",
            (2,),
            "redirect",
            least=Level.INPUT,
            when=lambda s: leads_away(s, 2),
        ),
        Sink("open_redirect", "c.Redirect ctx.Redirect", (0, 1), "redirect", least=Level.INPUT),
        Sink(
            "ssrf",
            "http.Get http.Post http.Head http.PostForm client.Get *.Get *.Post",
            (0,),
            "url",
            least=Level.INPUT,
            when=lambda s: chooses_host(s) and _client(s),
        ),
        Sink(
            "ssrf",
            "http.NewRequest",
            (1,),
            "url",
            least=Level.INPUT,
            when=lambda s: chooses_host(s, 1),
        ),
        Sink(
            "ssrf",
            "http.NewRequestWithContext",
            (2,),
            "url",
            least=Level.INPUT,
            when=lambda s: chooses_host(s, 2),
        ),
        Sink("ssrf", "net.Dial net.DialTimeout", (1,), "url", least=Level.REQUEST),
        Sink(
            "template_injection",
            "*.Parse template.Must",
            (0,),
            "template",
            least=Level.PARAMETER,
            when=lambda s: "template" in s.base.path,
        ),
        Sink(
            "header_injection",
            "*.Set *.Add",
            (1,),
            "line",
            least=Level.PARAMETER,
            factor=1.0,
            when=lambda s: _header(s),
        ),
        Sink(
            "log_injection",
            "log.Printf log.Println log.Print logger.Printf log.Infof logger.Info",
            (ANY,),
            "line",
            least=Level.REQUEST,
            when=lambda s: more_than_address(s) and not _quotes_all(s),
        ),
        Sink("ldap_injection", "ldap.NewSearchRequest", (7,), "ldap", built=True),
        Sink(
            "xpath_injection",
            "xmlpath.Compile xpath.Compile xmlquery.Find xmlquery.FindOne "
            "xmlquery.QueryAll xmlquery.Query *.SearchXPath htmlquery.Find xmlpath.MustCompile",
            (0, 1),
            "xpath",
            built=True,
        ),
        Sink("nosql_injection", "*.FindOne *.Find", (1,), "nosql", least=Level.REQUEST),
        Sink("dynamic_import", "plugin.Open", (0,), "path"),
        Sink(
            "format_injection",
            "fmt.Printf fmt.Sprintf log.Printf fmt.Errorf",
            (0,),
            "format",
            least=Level.REQUEST,
            factor=0.6,
            when=lambda s: s.arg(0).text is None,
        ),
        Sink(
            "unsafe_upload",
            "os.Create",
            (0,),
            "path",
            least=Level.REQUEST,
            when=lambda s: any(p.name == "Filename" for a in s.node.args for p in a.walk()),
        ),
    ),
    properties=(
        Property(
            "password_hash",
            "sha256.Sum256 sha512.Sum512 sha1.Sum md5.Sum sha256.New224",
            lambda s: 0.7 if is_password(_said(s)) else 0.0,
        ),
        Property(
            "error_details",
            "http.Error *.String *.JSON *.Write fmt.Fprint fmt.Fprintf",
            lambda s: 0.55 if "Stack" in _said(s).split() and "debug" in _said(s) else 0.0,
        ),
        Property("integer_overflow", "int8 int16 int32 uint8 uint16 uint32", _narrows),
        Property(
            "secret_logged",
            "log.Printf log.Println log.Print logger.Printf logger.Info logger.Infof log.Infof "
            "slog.Info slog.Debug logrus.Infof logrus.Info zap.Info logger.Debug",
            logs_secret,
        ),
        Property("hardcoded_secret", "hmac.New", literal_secret(1)),
        Property(
            "hardcoded_secret",
            "*.SignedString *.SetBasicAuth ssh.Password",
            lambda s: literal_secret(0 if s.name != "SetBasicAuth" else 1)(s),
        ),
        Property("hardcoded_secret", "aes.NewCipher", literal_secret(0)),
        Property("plain_password", "*.Exec *.ExecContext *.Query *.QueryRow", stores_typed),
        Property("insecure_cookie", "new.http.Cookie", _cookie),
        Property("cors_any", "*.Set *.Add *.Header", cors_header),
        Property("weak_hash", "md5.New md5.Sum sha1.New sha1.Sum md4.New", broken_hash),
        Property(
            "weak_cipher",
            "des.NewCipher des.NewTripleDESCipher rc4.NewCipher blowfish.NewCipher "
            "cipher.NewECBEncrypter ecb.NewECBEncrypter",
            lambda s: 0.82,
        ),
        Property("weak_key", "rsa.GenerateKey", few_bits(2048, 1)),
        Property(
            "weak_key",
            "dsa.GenerateParameters",
            lambda s: (
                0.8 if any(p.name in ("L1024N160",) for a in s.node.args for p in a.walk()) else 0.0
            ),
        ),
        Property("weak_key", "elliptic.P224", lambda s: 0.5),
        Property(
            "weak_random",
            "rand.Intn rand.Int rand.Read rand.Int63 rand.Int31n rand.Seed "
            "rand.Int31 rand.Uint32 rand.Float64",
            lambda s: (
                random_secret(s)
                if "crypto/rand" not in s.base.path
                and (s.name != "Read" or s.mentions(r'"math/rand'))
                else 0.0
            ),
        ),
        Property("weak_random", "math/rand.Intn math/rand.Int math/rand.Read", random_secret),
        Property(
            "fixed_iv",
            "cipher.NewCBCEncrypter cipher.NewCTR cipher.NewCFBEncrypter cipher.NewOFB",
            _fixed_vector,
        ),
        Property("fixed_salt", "pbkdf2.Key scrypt.Key argon2.Key argon2.IDKey", _fixed_salt),
        Property("unverified_token", "*.ParseUnverified", lambda s: 0.8),
        Property(
            "unverified_token",
            "jwt.Parse jwt.ParseWithClaims",
            lambda s: 0.8 if s.mentions(r"UnsafeAllowNoneSignatureType") else 0.0,
        ),
        Property("weak_host_check", "strings.Contains strings.HasPrefix strings.Index", _host_part),
        Property(
            "file_permissions",
            "os.OpenFile os.WriteFile os.Chmod os.Mkdir os.MkdirAll "
            "ioutil.WriteFile os.FileMode *.Chmod",
            _mode,
        ),
        Property(
            "temporary_file", "os.Create os.WriteFile ioutil.WriteFile os.OpenFile", shared_folder
        ),
        Property("clear_text", "http.Get http.Post", plain_address),
    ),
    settings=(
        Setting("tls_off", "InsecureSkipVerify", lambda v: v.known == "true", 0.86),
        Setting(
            "weak_tls",
            "MinVersion MaxVersion",
            lambda v: bool(re.search(r"VersionTLS1[01]$|VersionSSL30$", v.path)),
            0.7,
        ),
        Setting("insecure_cookie", "HttpOnly Secure", lambda v: v.known == "false", 0.6),
        Setting("tls_off", "HostKeyCallback", lambda v: "InsecureIgnoreHostKey" in v.path, 0.82),
        Setting("cors_any", "AllowAllOrigins", lambda v: v.known == "true", 0.55),
    ),
    checks=(Check("filepath.IsLocal fs.ValidPath", "path"),),
    cleaners=(
        Cleaner(
            "strconv.Atoi strconv.ParseInt strconv.ParseUint strconv.ParseFloat "
            "strconv.ParseBool uuid.Parse strconv.Itoa len make new",
            "all",
        ),
        Cleaner("filepath.Base path.Base", "path"),
        Cleaner(
            "html.EscapeString template.HTMLEscapeString template.JSEscapeString "
            "bluemonday.Sanitize *.Sanitize html/template.HTMLEscapeString",
            "html",
        ),
        Cleaner("url.QueryEscape url.PathEscape", "url path html line redirect"),
        Cleaner("regexp.QuoteMeta", "regex"),
        Cleaner("shellescape.Quote", "shell"),
        Cleaner("ldap.EscapeFilter", "ldap"),
        Cleaner("strconv.Quote", "line"),
        Cleaner("pq.QuoteIdentifier pq.QuoteLiteral", "sql"),
    ),
    writers=(
        Writer("rand.Read crypto/rand.Read", 0, (), mark="random"),
        Writer("io.ReadFull", 1, (0,), mark="random"),
        Writer("*.Decode", 0, (BASE,)),
        Writer("json.Unmarshal xml.Unmarshal yaml.Unmarshal", 1, (0,)),
        Writer(
            "*.ShouldBindJSON *.BindJSON *.ShouldBind *.ShouldBindQuery *.BodyParser *.Bind",
            0,
            (),
            level=Level.REQUEST,
        ),
        Writer("fmt.Scan fmt.Scanln", 0, (), level=Level.INPUT),
        Writer("fmt.Scanf fmt.Sscanf", 1, (), level=Level.INPUT),
        Writer("*.WriteString", BASE, (0,), keeps=True),
    ),
    formats="fmt.Sprintf fmt.Sprint fmt.Errorf fmt.Sprintln",
    joins="strings.Join",
    resolves="filepath.Join path.Join filepath.Clean filepath.Abs filepath.EvalSymlinks path.Clean "
    "filepath.Rel",
    harmless=r"^\*?(?:u?int\d*|float\d+|bool|byte|rune|error|time\.\w+|context\.Context|func\b.*|"
    r"chan .*|\[\]int\d*|sync\.\w+|uuid\.UUID)$",
    trusted=r"^(?:w|rw|ctx|db|tx|conn|client|logger|log|err|wg|mu|next|t|b|s|srv|server|cfg|opts)$|"
    r"ResponseWriter|\*?sql\.DB|\*?sql\.Tx|testing\.T|context\.Context|io\.Writer",
    globals=r"^(?:nil|true|false|iota|os|fmt|http|exec|strings|filepath|path|log|io|time|sql|json|"
    r"errors|strconv|url|html|template|cipher|aes|rand|regexp|bytes|bufio|sort|sync|math|context|"
    r"ioutil|crypto|sha256|md5|sha1|hex|base64|rsa|x509|pem|jwt|tls|net|binary)$",
    ends="os.Exit panic log.Fatal log.Fatalf log.Fatalln *.Fatal *.Fatalf c.Abort "
    "c.AbortWithStatus",
    linear_regex=True,
    advice={
        "command_injection": 'use exec.Command with a fixed program, no "sh -c"',
        "sql_injection": 'pass values as arguments: db.Query("… WHERE id = ?", id)',
        "path_traversal": "clean the joined path, then check filepath.Rel or the folder as prefix",
        "xss": "use html/template, or html.EscapeString",
        "weak_random": "use crypto/rand",
        "tls_off": "leave InsecureSkipVerify out; set RootCAs",
    },
)


def _quotes_all(site: Site) -> bool:
    """`log.Printf("%q", x)` shows line breaks as two letters."""
    form = site.arg(0).known if site.name.endswith("f") else None
    return form is not None and re.search(r"%[-+# ]*[svx]", form) is None


def _writes_page(site: Site) -> bool:
    """Is it an answer to a browser that is written to?"""
    if site.name in ("Write", "WriteString") and not site.node.base:
        return False
    target = site.base.path if site.name == "Write" else site.arg(0).path
    return "ResponseWriter" in target or target in ("w", "rw")


def _to_browser(site: Site) -> bool:
    """Is the first argument what answers the request?"""
    return "ResponseWriter" in site.arg(0).path or site.arg(0).path in ("w", "rw")


def _client(site: Site) -> bool:
    head = site.base.path.lower()
    return head.endswith(("http", "client", "http.client")) or "client" in head


def _header(site: Site) -> bool:
    return "Header" in site.base.path or "header" in site.base.path.lower()
