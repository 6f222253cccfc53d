"""Java: what its calls, options and names mean for safety."""

import re

from bluecode.defenses.checkers.rules.rule import (
    ANY,
    BASE,
    Cleaner,
    Language,
    Property,
    Setting,
    Sink,
    Source,
    Writer,
)
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.values import Level
from bluecode.defenses.checkers.rules.words import (
    broken_hash,
    chooses_host,
    few_bits,
    leads_away,
    random_secret,
    speaks_sql,
    weak_hash,
)

_SAFE_XML = (
    r"disallow-doctype-decl|external-general-entities|FEATURE_SECURE_PROCESSING|"
    r"ACCESS_EXTERNAL_DTD|SUPPORT_DTD|setExpandEntityReferences\(false|IS_SUPPORTING_EXTERNAL|"
    r"load-external-dtd|supportDTD"
)
_PLAIN_OBJECTS = r"ObjectInputFilter|setObjectInputFilter|ValidatingObjectInputStream|resolveClass"


def _cipher(site: Site) -> float:
    name = site.text(0)
    if re.match(r"(?:des|desede|rc[24]|arcfour|blowfish|rc5)", name):
        return 0.84
    if re.search(r"/ecb/", name) and not name.startswith("rsa") or name == "aes":
        return 0.82
    if re.match(r"rsa/[^/]+/(?:nopadding|pkcs1padding)|^rsa$", name):
        return 0.6
    return 0.55 if re.search(r"/cbc/pkcs5", name) else 0.0


def _entities(site: Site) -> float:
    return 0.0 if site.mentions(_SAFE_XML) else 0.6


def _object_stream(site: Site) -> bool:
    return not site.mentions(_PLAIN_OBJECTS)


def _fixed_vector(site: Site) -> float:
    vector = site.arg(0)
    fixed = vector.level is Level.NONE and (vector.items or vector.known or _zeros(site))
    filled = "random" in vector.marks or site.mentions(r"\.nextBytes\(|generateSeed|getIV\(")
    return 0.8 if fixed and not filled else 0.0


def _zeros(site: Site) -> bool:
    node = site.node.args[0] if site.node.args else None
    return node is not None and node.role == "array"


def _cookie(site: Site) -> float:
    name = site.text(0)
    if site.mentions(r"setHttpOnly\(true") and site.mentions(r"setSecure\(true"):
        return 0.0
    return 0.6 if re.search(r"sess|token|auth|jwt|remember|sid", name) else 0.0


def _command_text(site: Site) -> bool:
    return site.arg(0).known is None and not site.arg(0).items


def _command_list(site: Site) -> bool:
    """A list whose program is a shell that is told to run a text."""
    items = site.arg(0).items or tuple(site.args)
    words = [(item.known or "").lower() for item in items]
    return len(words) > 1 and words[0].rpartition("/")[2] in ("sh", "bash", "cmd", "cmd.exe",
                                                              "powershell", "zsh")  # fmt: skip


def _fast_hash(site: Site) -> float:
    return 0.75 if re.search(r"passw|pwd", site.purpose) and site.text(0) else 0.0


RULES = Language(
    name="java",
    sources=(
        Source(
            Level.REQUEST,
            types=r"@(?:RequestParam|PathVariable|RequestBody|RequestHeader|CookieValue|QueryParam|"
            r"PathParam|FormParam|HeaderParam|ModelAttribute|MatrixVariable|Body|QueryValue)",
        ),
        Source(
            Level.REQUEST,
            acts_as="HttpServletRequest",
            types=r"^(?:\w+\.)*(?:HttpServletRequest|ServletRequest|ServerHttpRequest|HttpExchange|"
            r"RoutingContext|ServerRequest|MultipartFile|WebRequest)$",
        ),
        Source(
            Level.REQUEST,
            calls="*.getParameter *.getParameterValues *.getQueryString *.getHeader "
            "*.getHeaders *.getRequestURI *.getRequestURL *.getPathInfo *.getOriginalFilename "
            "*.getSubmittedFileName *.queryParam *.pathVariable *.getParameterMap "
            "HttpServletRequest.getCookies HttpServletRequest.getReader "
            "HttpServletRequest.getInputStream Context.queryParam ctx.formParam",
        ),
        Source(
            Level.INPUT,
            parameters=r"^args$",
            calls="System.getenv System.getProperty *.nextLine Scanner.next *.readLine "
            "System.console().readLine",
        ),
    ),
    sinks=(
        Sink(
            "command_injection",
            "*.exec",
            (0,),
            "shell",
            when=lambda s: "untime" in s.base.path and _command_text(s),
        ),
        Sink(
            "command_injection",
            "*.exec",
            (0,),
            "shell",
            when=lambda s: "untime" in s.base.path and _command_list(s),
        ),
        Sink(
            "command_injection", "new.ProcessBuilder *.command", (ANY,), "shell", when=_command_list
        ),
        Sink(
            "argument_injection",
            "new.ProcessBuilder",
            (0,),
            "shell",
            least=Level.PARAMETER,
            factor=1.3,
            when=lambda s: not s.arg(0).items or s.arg(0).items[0].level > 0,
        ),
        Sink(
            "sql_injection",
            "*.executeQuery *.executeUpdate *.execute *.addBatch "
            "*.prepareStatement *.prepareCall *.createQuery *.createNativeQuery *.queryForObject "
            "*.queryForList *.queryForMap *.query *.update *.createSQLQuery *.executeLargeUpdate "
            "*.batchUpdate *.rawQuery *.execSQL *.nativeSQL",
            (0,),
            "sql",
            built=True,
            when=speaks_sql,
        ),
        Sink(
            "sql_injection",
            "Statement.executeQuery Statement.executeUpdate Statement.execute "
            "createStatement().executeQuery createStatement().execute",
            (0,),
            "sql",
            least=Level.REQUEST,
        ),
        Sink(
            "nosql_injection",
            "Document.parse BasicDBObject.parse new.BasicQuery *.$where",
            (0,),
            "nosql",
            built=True,
            least=Level.UNKNOWN,
            factor=1.4,
        ),
        Sink(
            "path_traversal",
            "new.File new.FileInputStream new.FileOutputStream new.FileReader "
            "new.FileWriter new.RandomAccessFile Files.readAllBytes Files.readString "
            "Files.newInputStream Files.newBufferedReader Files.write Files.delete Files.copy "
            "Files.lines new.PrintWriter new.ZipFile Files.newOutputStream Files.writeString "
            "Files.deleteIfExists *.transferTo Files.createFile",
            (0, 1),
            "path",
            when=lambda s: (
                not s.mentions(
                    r"getCanonicalPath|normalize\(\)[\s\S]*startsWith|"
                    r"toRealPath"
                )
            ),
        ),
        Sink(
            "xss",
            "*.println *.print *.write *.printf *.append *.format",
            (0, 1),
            "html",
            least=Level.INPUT,
            when=lambda s: _page(s),
        ),
        Sink("xss", "*.sendError", (1,), "html", least=Level.REQUEST),
        Sink(
            "open_redirect",
            "*.sendRedirect new.RedirectView *.setHeader",
            (0,),
            "redirect",
            least=Level.INPUT,
            when=lambda s: leads_away(s) and s.name != "setHeader",
        ),
        Sink(
            "open_redirect",
            "*.setHeader *.header *.addHeader",
            (1,),
            "redirect",
            least=Level.INPUT,
            when=lambda s: s.text(0) == "location" and leads_away(s, 1),
        ),
        Sink("header_injection", "*.setHeader *.addHeader", (1,), "line", least=Level.REQUEST),
        Sink(
            "ssrf",
            "new.URL URI.create new.HttpGet new.HttpPost Jsoup.connect "
            "*.getForObject *.getForEntity *.exchange *.postForObject HttpRequest.newBuilder "
            "new.URI Request.Get *.uri *.url",
            (0,),
            "url",
            least=Level.INPUT,
            when=chooses_host,
        ),
        Sink("ssrf", "new.Socket new.InetSocketAddress", (0,), "url", least=Level.REQUEST),
        Sink(
            "unsafe_deserialization",
            "*.readObject *.readUnshared",
            (BASE,),
            "objects",
            when=lambda s: _object_stream(s) and _stream(s),
        ),
        Sink(
            "unsafe_deserialization", "new.ObjectInputStream", (0,), "objects", when=_object_stream
        ),
        Sink(
            "unsafe_deserialization",
            "*.load Yaml.load *.fromXML XStream.fromXML *.readObject "
            "new.XMLDecoder JSON.parseObject",
            (0,),
            "objects",
            least=Level.UNKNOWN,
            when=lambda s: _loader(s),
        ),
        Sink(
            "code_injection",
            "ScriptEngine.eval *.eval GroovyShell.evaluate *.evaluate "
            "*.parseExpression *.compileExpression Ognl.getValue MVEL.eval *.createValueExpression "
            "SpelExpressionParser.parseExpression Velocity.evaluate JexlEngine.createExpression",
            (0, 1, 2),
            "code",
            when=lambda s: s.name != "evaluate" or "xpath" not in s.base.path.lower(),
        ),
        Sink("reflection", "Class.forName", (0,), "reflection", least=Level.PARAMETER),
        Sink(
            "template_injection",
            "new.Template *.createTemplate Velocity.evaluate",
            (0, 1),
            "template",
            least=Level.PARAMETER,
        ),
        Sink(
            "ldap_injection",
            "*.search",
            (0, 1),
            "ldap",
            built=True,
            when=lambda s: "=" in s.arg(1).shape,
        ),
        Sink(
            "xpath_injection",
            "*.compile *.evaluate",
            (0,),
            "xpath",
            built=True,
            when=lambda s: "/" in s.arg(0).shape or "xpath" in s.base.path.lower(),
        ),
        Sink(
            "xpath_injection",
            "*.selectNodes *.selectSingleNode *.evaluateExpression",
            (0,),
            "xpath",
            built=True,
        ),
        Sink(
            "log_injection",
            "logger.info logger.warn logger.error log.info LOG.info "
            "logger.debug log.warn log.error",
            (ANY,),
            "line",
            least=Level.REQUEST,
        ),
        Sink("regex_injection", "Pattern.compile", (0,), "regex", least=Level.PARAMETER),
        Sink(
            "regex_injection", "*.matches *.replaceAll *.split", (0,), "regex", least=Level.REQUEST
        ),
        Sink(
            "dynamic_import",
            "System.load System.loadLibrary *.loadLibrary",
            (0,),
            "path",
            least=Level.PARAMETER,
        ),
        Sink(
            "format_injection",
            "String.format",
            (0,),
            "format",
            least=Level.REQUEST,
            factor=0.7,
            when=lambda s: s.arg(0).text is None,
        ),
    ),
    properties=(
        Property(
            "unsafe_deserialization",
            "new.ObjectInputStream",
            lambda s: 0.52 if _object_stream(s) else 0.0,
        ),
        Property(
            "weak_hash",
            "MessageDigest.getInstance Mac.getInstance Signature.getInstance",
            weak_hash,
        ),
        Property(
            "weak_hash",
            "DigestUtils.md5Hex DigestUtils.sha1Hex DigestUtils.md5 "
            "DigestUtils.sha1 Hashing.md5 Hashing.sha1 DigestUtils.shaHex "
            "DigestUtils.md5DigestAsHex DigestUtils.sha",
            broken_hash,
        ),
        Property("password_hash", "MessageDigest.getInstance", _fast_hash),
        Property(
            "weak_cipher",
            "Cipher.getInstance KeyGenerator.getInstance SecretKeyFactory.getInstance",
            lambda s: (
                _cipher(s)
                if s.node.base is None or "Cipher" in str(s.node.base.name)
                else (0.8 if re.match(r"des|rc[24]|arcfour|blowfish", s.text(0)) else 0.0)
            ),
        ),
        Property("weak_cipher", "new.DESKeySpec new.DESedeKeySpec", lambda s: 0.8),
        Property("weak_key", "*.initialize", few_bits()),
        Property(
            "weak_random",
            "new.Random Math.random *.nextInt *.nextLong *.nextBytes "
            "RandomStringUtils.randomAlphanumeric RandomStringUtils.random "
            "RandomStringUtils.randomNumeric RandomStringUtils.randomAlphabetic "
            "ThreadLocalRandom.current",
            lambda s: random_secret(s) if "Secure" not in s.base.path else 0.0,
        ),
        Property("fixed_iv", "new.IvParameterSpec", _fixed_vector),
        Property(
            "fixed_salt",
            "new.PBEKeySpec new.PBEParameterSpec",
            lambda s: (
                0.75
                if len(s.args) > 1
                and s.arg(1).level is Level.NONE
                and (s.arg(1).items or s.arg(1).known or s.arg(1).text)
                else 0.0
            ),
        ),
        Property(
            "xxe",
            "DocumentBuilderFactory.newInstance SAXParserFactory.newInstance "
            "XMLInputFactory.newInstance XMLInputFactory.newFactory new.SAXReader "
            "new.SAXBuilder XMLReaderFactory.createXMLReader TransformerFactory.newInstance "
            "SchemaFactory.newInstance SAXParser.parse XMLReader.parse "
            "XMLInputFactory.createXMLStreamReader *.createXMLStreamReader",
            _entities,
        ),
        Property(
            "tls_off",
            "*.setHostnameVerifier *.setDefaultHostnameVerifier "
            "*.hostnameVerifier *.setSSLHostnameVerifier",
            lambda s: _always_true(s),
        ),
        Property(
            "tls_off",
            "new.AllowAllHostnameVerifier new.NoopHostnameVerifier "
            "new.TrustAllStrategy new.TrustSelfSignedStrategy",
            lambda s: 0.8,
        ),
        Property("insecure_cookie", "new.Cookie", _cookie),
        Property(
            "insecure_cookie",
            "*.setHttpOnly *.setSecure",
            lambda s: 0.62 if s.arg(0).known == "false" else 0.0,
        ),
        Property(
            "missing_csrf",
            "*.disable csrf().disable",
            lambda s: 0.6 if "csrf" in s.base.path else 0.0,
        ),
        Property(
            "weak_tls",
            "SSLContext.getInstance",
            lambda s: 0.75 if s.text(0) in ("ssl", "sslv2", "sslv3", "tlsv1", "tlsv1.1") else 0.0,
        ),
        Property(
            "temporary_file",
            "new.File new.FileOutputStream new.FileWriter",
            lambda s: 0.5 if re.match(r"/tmp/[^\0]+$", s.arg(0).shape) else 0.0,
        ),
        Property(
            "file_permissions",
            "*.setWritable *.setReadable",
            lambda s: 0.6 if s.arg(0).known == "true" and s.arg(1).known == "false" else 0.0,
        ),
        Property(
            "file_permissions",
            "PosixFilePermissions.fromString",
            lambda s: 0.7 if s.text(0)[7:8] == "w" else 0.0,
        ),
        Property(
            "file_permissions",
            "*.getSharedPreferences *.openFileOutput",
            lambda s: (
                0.7 if any("MODE_WORLD" in p.name for a in s.node.args for p in a.walk()) else 0.0
            ),
        ),
        Property(
            "unverified_token",
            "JWT.decode Jwts.parser().parse *.parseClaimsJwt",
            lambda s: 0.65 if s.name != "parse" else 0.0,
        ),
        Property(
            "input_validation_off",
            "*.setAllowFileAccess *.setJavaScriptEnabled "
            "*.setAllowUniversalAccessFromFileURLs *.setAllowFileAccessFromFileURLs",
            lambda s: 0.55 if s.arg(0).known == "true" else 0.0,
        ),
        Property(
            "cors_any",
            "*.allowedOrigins *.addAllowedOrigin",
            lambda s: 0.55 if s.arg(0).known == "*" else 0.0,
        ),
        Property(
            "error_details",
            "*.printStackTrace",
            lambda s: 0.5 if s.args and "getWriter" in s.arg(0).path else 0.0,
        ),
    ),
    settings=(Setting("cors_any", "origins", lambda v: v.known == "*", 0.5),),
    cleaners=(
        Cleaner(
            "Integer.parseInt Integer.valueOf Long.parseLong Long.valueOf UUID.fromString "
            "Double.parseDouble Boolean.parseBoolean Short.parseShort *.ordinal *.length "
            "*.hashCode LocalDate.parse *.valueOf",
            "all",
        ),
        Cleaner("FilenameUtils.getName *.getFileName", "path"),
        Cleaner(
            "StringEscapeUtils.escapeHtml4 StringEscapeUtils.escapeHtml HtmlUtils.htmlEscape "
            "Encode.forHtml Encode.forHtmlAttribute Encode.forHtmlContent "
            "StringEscapeUtils.escapeXml Jsoup.clean *.encodeForHTML escapeHtml "
            "Encode.forJavaScript *.sanitize",
            "html",
        ),
        Cleaner("StringEscapeUtils.escapeSql *.encodeForSQL", "sql"),
        Cleaner(
            "URLEncoder.encode UriUtils.encode UriUtils.encodePath", "url path html line redirect"
        ),
        Cleaner("*.encodeForLDAP LdapEncoder.filterEncode Filter.encodeValue", "ldap"),
        Cleaner("Pattern.quote Matcher.quoteReplacement", "regex"),
        Cleaner("*.encodeForOS", "shell"),
    ),
    writers=(Writer("*.nextBytes", 0, (), mark="random"),),
    formats="String.format *.formatted MessageFormat.format",
    joins="Paths.get Path.of *.resolve String.join Path.resolve *.concat",
    resolves="*.getCanonicalPath *.getCanonicalFile *.toRealPath *.normalize",
    harmless=r"^(?:int|long|short|byte|char|float|double|boolean|Integer|Long|Short|Double|Float|"
    r"Boolean|UUID|BigDecimal|BigInteger|Date|Local\w+|Instant|Class.*|Enum.*|Principal|"
    r"Authentication|.*(?:Service|Repository|Config|Context|Logger|Connection|DataSource|"
    r"EntityManager|Response|Writer|Handler|Listener|Factory|Builder))(?:<.*>)?$",
    trusted=r"^(?:response|resp|res|out|writer|connection|conn|logger|log|model|session|ctx|"
    r"context|chain|callback|listener|e|ex|exception)$",
    globals=r"^(?:System|Runtime|Math|String|Integer|Long|Files|Paths|Path|Arrays|Collections|"
    r"List|Map|Set|Optional|Objects|Pattern|MessageDigest|Cipher|Thread|File|StandardCharsets|"
    r"Charset|JSON|LOG|LOGGER|Class|SecureRandom|DriverManager|true|false|null|KeyGenerator)\b",
    ends="System.exit Runtime.halt",
    receivers={"db": r"statement|jdbc|entity|session|conn"},
    advice={
        "command_injection": "use ProcessBuilder with a fixed program and separate arguments",
        "sql_injection": "use PreparedStatement with ? placeholders",
        "xxe": "set the feature disallow-doctype-decl to true",
        "path_traversal": "resolve and normalize, then check startsWith on the base Path",
        "unsafe_deserialization": "use JSON, or set an ObjectInputFilter with allowed classes",
        "weak_random": "use SecureRandom",
        "weak_cipher": "use AES/GCM/NoPadding",
    },
)


def _stream(site: Site) -> bool:
    return "ObjectInput" in site.base.path


def _loader(site: Site) -> bool:
    head = site.base.path
    if site.name == "load":
        return "Yaml" in head and not site.mentions(r"SafeConstructor")
    if site.name == "fromXML":
        return not site.mentions(r"allowTypes|setupDefaultSecurity|addPermission")
    if site.name == "parseObject":
        return site.arg(0).level >= Level.REQUEST and site.mentions(r"fastjson|AutoType")
    return site.name == "XMLDecoder"


def _page(site: Site) -> bool:
    head = site.base.path + " " + (site.node.base.name if site.node.base is not None else "")
    return bool(
        re.search(r"getWriter|PrintWriter|JspWriter|getOutputStream|^(?:out|writer) ?", head)
    )


def _always_true(site: Site) -> float:
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
