"""Java: what its calls, options and names mean for safety."""

import re

from bluecode.defenses.checkers.rules.java_calls import (
    always_true,
    cipher,
    cookie,
    csrf_off,
    entities,
    fast_hash,
    fixed_vector,
    object_stream,
)
from bluecode.defenses.checkers.rules.java_sinks import SINKS
from bluecode.defenses.checkers.rules.keeping import literal_secret, logs_secret
from bluecode.defenses.checkers.rules.rule import (
    Cleaner,
    Language,
    Property,
    Setting,
    Source,
    Writer,
)
from bluecode.defenses.checkers.rules.values import Level
from bluecode.defenses.checkers.rules.words import (
    broken_hash,
    cors_header,
    few_bits,
    random_secret,
    shared_folder,
    weak_hash,
)

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
            calls="*.getNextEntry *.getNextZipEntry *.getNextTarEntry *.getNextJarEntry "
            "ZipFile.entries System.getenv System.getProperty *.nextLine Scanner.next *.readLine "
            "System.console().readLine",
        ),
    ),
    sinks=SINKS,
    properties=(
        Property(
            "unsafe_deserialization",
            "new.HessianInput new.Hessian2Input new.XMLDecoder *.readClassAndObject",
            lambda s: 0.6,
        ),
        Property(
            "unsafe_deserialization",
            "*.setRegistrationRequired",
            lambda s: 0.6 if s.arg(0).known == "false" else 0.0,
        ),
        Property("hardcoded_secret", "DriverManager.getConnection", literal_secret(2)),
        Property("hardcoded_secret", "new.SecretKeySpec", literal_secret(0)),
        Property(
            "hardcoded_secret",
            "*.signWith *.setSigningKey Algorithm.HMAC256 Algorithm.HMAC512",
            lambda s: max(literal_secret(0)(s), literal_secret(1)(s)),
        ),
        Property(
            "hardcoded_secret",
            "*.setPassword new.PasswordAuthentication new.UsernamePasswordCredentials",
            lambda s: literal_secret(0 if s.name == "setPassword" else 1)(s),
        ),
        Property(
            "secret_logged",
            "logger.info logger.warn logger.error logger.debug log.info log.warn log.error "
            "log.debug LOG.info LOG.debug LOGGER.info LOGGER.warning System.out.println "
            "out.println",
            logs_secret,
        ),
        Property(
            "unsafe_deserialization",
            "*.enableDefaultTyping *.activateDefaultTyping *.activateDefaultTypingAsProperty",
            lambda s: 0.78 if "LaissezFaire" in s.arg(0).path or s.name[0] == "e" else 0.0,
        ),
        Property(
            "unsafe_deserialization",
            "new.ObjectInputStream",
            lambda s: 0.52 if object_stream(s) else 0.0,
        ),
        Property(
            "weak_hash",
            "MessageDigest.getInstance Mac.getInstance Signature.getInstance",
            weak_hash,
        ),
        Property(
            "weak_hash",
            "Signature.getInstance",
            lambda s: 0.75 if re.match(r"(?:md[25]|sha-?1)with", s.text(0)) else 0.0,
        ),
        Property(
            "weak_hash",
            "DigestUtils.md5Hex DigestUtils.sha1Hex DigestUtils.md5 "
            "DigestUtils.sha1 Hashing.md5 Hashing.sha1 DigestUtils.shaHex "
            "DigestUtils.md5DigestAsHex DigestUtils.sha *.md5 *.md5Hex *.sha1Hex",
            broken_hash,
        ),
        Property("password_hash", "MessageDigest.getInstance", fast_hash),
        Property(
            "weak_cipher",
            "Cipher.getInstance KeyGenerator.getInstance SecretKeyFactory.getInstance",
            lambda s: (
                cipher(s)
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
        Property("fixed_iv", "new.IvParameterSpec", fixed_vector),
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
            entities,
        ),
        Property(
            "tls_off",
            "*.setHostnameVerifier *.setDefaultHostnameVerifier "
            "*.hostnameVerifier *.setSSLHostnameVerifier",
            lambda s: always_true(s),
        ),
        Property(
            "tls_off",
            "new.AllowAllHostnameVerifier new.NoopHostnameVerifier "
            "new.TrustAllStrategy new.TrustSelfSignedStrategy",
            lambda s: 0.8,
        ),
        Property("insecure_cookie", "new.Cookie", cookie),
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
        Property("missing_csrf", "*.csrf", csrf_off),
        Property(
            "plain_password",
            "NoOpPasswordEncoder.getInstance new.NoOpPasswordEncoder",
            lambda s: 0.75,
        ),
        Property(
            "weak_tls",
            "SSLContext.getInstance",
            lambda s: 0.75 if s.text(0) in ("ssl", "sslv2", "sslv3", "tlsv1", "tlsv1.1") else 0.0,
        ),
        Property(
            "temporary_file",
            "new.File new.FileOutputStream new.FileWriter",
            shared_folder,
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
        Property("cors_any", "*.setHeader *.addHeader *.header", cors_header),
        Property(
            "cors_any",
            "*.allowedOrigins *.addAllowedOrigin",
            lambda s: 0.55 if s.arg(0).known == "*" else 0.0,
        ),
        Property(
            "error_details",
            "*.printStackTrace",
            lambda s: (
                0.5
                if s.args
                and ("getWriter" in s.arg(0).path or s.mentions(r"\.body\(|@ExceptionHandler"))
                else 0.0
            ),
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
