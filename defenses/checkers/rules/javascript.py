"""JavaScript and TypeScript: what their calls, options and names mean for safety."""

import re

from bluecode.defenses.checkers.rules.rule import (
    ANY,
    Check,
    Cleaner,
    Language,
    Property,
    Setting,
    Sink,
    Source,
    Store,
)  # fmt: skip
from bluecode.defenses.checkers.rules.secrets import is_secret, keeps_secret
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.values import Level, Value


def _is(text: str) -> "re.Pattern[str]":
    return re.compile(text, re.I)


_WEAK_HASH = _is(r"^(?:rsa-)?(?:md[245]|sha-?1|ripemd|sha)$")
_WEAK_CIPHER = _is(r"^(?:des|rc[24]|bf|blowfish|cast|idea|seed)|-ecb$|^aes\d*$|arcfour")
_SQL = _is(r"^\W*(?:select|insert|update|delete|with|replace|create|drop|alter|merge|call)\b|"
           r"\b(?:where|from|values|set|order by|limit)\b")  # fmt: skip


def _hash(site: Site) -> float:
    if not _WEAK_HASH.match(site.text(0)):
        return 0.0
    return 0.8 if keeps_secret(site.purpose) else 0.6


def _password_hash(site: Site) -> float:
    data = site.arg(0).path.lower() + site.purpose
    made_by = site.base.path
    if "createHash()" not in made_by or "password" not in data and "passwd" not in data:
        return 0.0
    return 0.75


def _cipher(site: Site) -> float:
    return 0.82 if _WEAK_CIPHER.search(site.text(0)) else 0.0


def _without_iv(site: Site) -> float:
    return 0.82


def _fixed_iv(site: Site) -> float:
    """A vector that stands in the code, or is all zeros."""
    vector = site.arg(2)
    if _WEAK_CIPHER.search(site.text(0)):
        return 0.0
    fixed = vector.level is Level.NONE and (
        vector.known not in (None, "") or vector.path in ("Buffer.alloc()", "Buffer.from()")
        or bool(vector.items)
    )  # fmt: skip
    return 0.82 if fixed and vector.known != "null" else 0.0


def _fixed_salt(site: Site) -> float:
    salt = site.arg(1)
    if salt.level is not Level.NONE:
        return 0.0
    if (salt.known or "").isdigit():  # bcrypt's rounds
        return 0.0
    if salt.known or salt.path in ("Buffer.from()", "Buffer.alloc()"):
        return 0.8
    if salt.path.endswith("randomBytes()") and salt.fields.get("size", Value()).known:
        return 0.0
    return 0.0


def _few_rounds(site: Site) -> float:
    rounds = site.arg(2).known or ""
    return 0.6 if rounds.isdigit() and int(rounds) < 1000 else 0.0


def _short_salt(site: Site) -> float:
    size = site.arg(0).known or ""
    if not size.isdigit():
        return 0.0
    return 0.65 if int(size) < 8 and re.search(r"salt|key|secret|token|iv\b", site.purpose) else 0.0


def _random(site: Site) -> float:
    return 0.72 if is_secret(site.purpose) else 0.0


def _short_key(site: Site) -> float:
    kind = site.text(0)
    size = site.option("modulusLength")
    bits = (size.known if size is not None else "") or ""
    if kind in ("rsa", "dsa", "rsa-pss") and bits.isdigit() and int(bits) < 2048:
        return 0.85
    curve = site.option("namedCurve")
    weak = curve is not None and re.match(
        r"(?i)sec[pt]1(?:12|28|60|92)|prime192", curve.known or ""
    )
    return 0.8 if weak else 0.0


def _few_bits(site: Site) -> float:
    """Libraries that name the size `b`, `bits`, or give it first."""
    size = site.option("b", "bits")
    bits = ((size or site.arg(0)).known or "") if size or not site.arg(0).fields else ""
    return 0.85 if bits.isdigit() and 256 <= int(bits) < 2048 else 0.0


def _token_unverified(site: Site) -> float:
    algorithms = site.option("algorithms")
    if algorithms is not None and any((i.known or "").lower() == "none" for i in algorithms.items):
        return 0.9
    ignored = site.option("ignoreExpiration")
    return 0.6 if ignored is not None and ignored.known == "true" else 0.0


def _token_decoded(site: Site) -> float:
    return 0.7


def _sign_none(site: Site) -> float:
    algorithm = site.option("algorithm")
    return 0.85 if algorithm is not None and (algorithm.known or "").lower() == "none" else 0.0


def _open_mode(site: Site) -> float:
    """A mode with rights for others to write, or for anyone but the owner on a secret."""
    mode = site.arg(1).known or ""
    option = site.option("mode")
    if option is not None:
        mode = option.known or ""
    match = re.fullmatch(r"(?:0o?)?([0-7]{3})", mode.strip("'\""))
    if match is None:
        return 0.0
    bits = int(match.group(1), 8)
    if bits & 0o002:
        return 0.8
    return 0.65 if bits & 0o077 and is_secret(site.purpose) else 0.0


def _cookie(site: Site) -> float:
    name = site.text(0)
    if site.option("httpOnly") is not None and site.option("secure") is not None:
        return 0.0
    if len(site.args) > 2 and not site.arg(2).fields:
        return 0.0
    return 0.65 if re.search(r"sess|sid|token|auth|jwt|remember", name) else 0.45


def _cors_any(site: Site) -> float:
    origin = site.option("origin")
    if origin is None:
        return 0.0
    credentials = site.option("credentials")
    with_login = credentials is not None and credentials.known == "true"
    wide = origin.known in ("*", "true")
    return (0.75 if with_login else 0.45) if wide else 0.0


def _message_to_any(site: Site) -> float:
    return 0.62 if site.arg(1).known == "*" else 0.0


def _message_from_any(site: Site) -> float:
    if site.text(0) != "message" or len(site.node.args) < 2:
        return 0.0
    handler = site.node.args[1]
    if handler.role != "function":
        return 0.0
    for node in handler.walk():
        if node.role == "member" and node.name in ("origin", "source", "isTrusted"):
            return 0.0
        if node.role == "pair" and node.name in ("origin", "source"):
            return 0.0
    uses = any(node.role in ("member", "pair") and node.name == "data" for node in handler.walk())
    return 0.65 if uses else 0.0


def _yaml_full(site: Site) -> float:
    schema = site.option("schema")
    wide = schema is not None and re.search(r"DEFAULT_SCHEMA|FULL_SCHEMA|UNSAFE", schema.path)
    return 0.65 if wide else 0.0


def _xml_entities(site: Site) -> float:
    for name in ("noent", "replaceEntities", "dtdload", "resolveExternalEntities"):
        option = site.option(name)
        if option is not None and option.known == "true":
            return 0.82
    return 0.0


def _buffer_old(site: Site) -> float:
    return 0.5 if site.arg(0).known is None or site.node.name.startswith("allocUnsafe") else 0.0


def _new_buffer(site: Site) -> float:
    return 0.52 if site.arg(0).known is None and not site.arg(0).items else 0.0


def _no_assert(site: Site) -> float:
    return 0.6 if site.args and site.args[-1].known == "true" and len(site.args) >= 2 else 0.0


def _weak_host(site: Site) -> float:
    """A part of a host or origin is no proof of it."""
    looked_at = site.base.path.rsplit(".", 1)[-1].lower()
    if looked_at in ("hostname", "host", "origin", "referer", "referrer"):
        if site.name in ("endsWith",) and (site.arg(0).text or "").startswith("."):
            return 0.0
        return 0.62 if site.name in ("includes", "indexOf", "startsWith", "endsWith") else 0.0
    return 0.0


def _shell_option(site: Site) -> bool:
    option = site.option("shell")
    return option is not None and option.known not in (None, "false")


def _shell_program(site: Site) -> bool:
    program = site.text(0).rpartition("/")[2]
    items = site.arg(1).items
    return program in ("sh", "bash", "zsh", "cmd", "cmd.exe", "powershell", "powershell.exe") and (
        any((item.known or "").lower() in ("-c", "/c", "-lc", "-command") for item in items)
    )


def _text_first(site: Site) -> bool:
    return site.arg(0).path != "function"


def _sql_text(site: Site) -> bool:
    return bool(_SQL.search(site.arg(0).shape))


def _object_query(site: Site) -> bool:
    return not site.arg(0).marks & {"built"}


def _off(value: Value) -> bool:
    return value.known in ("false", "0")


def _on(value: Value) -> bool:
    return value.known in ("true", "1", "*")


def _old_tls(value: Value) -> bool:
    return bool(re.match(r"(?i)^(?:ssl|tls ?v?1(?:\.[01])?(?:_method)?$|tlsv1_1?_method)",
                         (value.known or "").strip()))  # fmt: skip


_REQUEST = (
    r"^(?:req|request|ctx\.request|ctx|event|c\.req)\.(?:body|query|params|headers|cookies|"
    r"param|files?|originalUrl|url|path|hostname|ip|rawBody|queryStringParameters|"
    r"pathParameters|signedCookies|request\.(?:body|query|url|header))\b"
)

RULES = Language(
    name="javascript",
    sources=(
        Source(Level.REQUEST, paths=_REQUEST),
        Source(
            Level.REQUEST,
            paths=r"^(?:window\.|document\.|self\.|globalThis\.)?(?:location\.(?:hash|search|href|"
            r"pathname)|document\.(?:URL|documentURI|referrer|cookie)|window\.name|"
            r"router\.query|\$route\.query)\b",
        ),
        Source(Level.INPUT, paths=r"^(?:XMLHttpRequest|xhr)\.response(?:Text)?$"),
        Source(Level.INPUT, paths=r"^process\.(?:argv|env|stdin)\b|^Deno\.args\b"),
        Source(
            Level.REQUEST,
            acts_as="req",
            parameters=r"^(?:req|request|ctx)$",
            types=r"\b(?:Request|NextApiRequest|IncomingMessage|FastifyRequest|NextRequest|Context)\b|"
            r"@(?:Body|Query|Param|Headers|Req)\(",
        ),
        Source(
            Level.REQUEST,
            calls="*.searchParams.get URLSearchParams.get searchParams.get req.param req.get "
            "request.get formData.get request.formData request.json req.json request.text "
            "*.getHeader c.req.query c.req.param",
        ),
        Source(Level.INPUT, calls="prompt *.question readline.question rl.question"),
    ),
    sinks=(
        Sink(
            "command_injection",
            "child_process.exec child_process.execSync shell.exec "
            "shelljs.exec exec.exec execa.command execa.commandSync execaCommand execaCommandSync "
            "execSync cp.exec childProcess.exec ChildProcess.exec exec execAsync execPromise "
            "ssh.execCommand conn.exec",
            label="shell",
            when=_text_first,
        ),
        Sink(
            "command_injection",
            "*.spawn *.spawnSync *.execFile *.execFileSync spawn spawnSync "
            "execFile execFileSync execa",
            (0, 1),
            "shell",
            when=_shell_option,
        ),
        Sink(
            "command_injection",
            "*.spawn *.spawnSync *.execFile *.execFileSync spawn spawnSync "
            "execFile execFileSync execa",
            (1,),
            "shell",
            when=_shell_program,
        ),
        Sink(
            "argument_injection",
            "child_process.spawn child_process.spawnSync "
            "child_process.execFile child_process.execFileSync",
            (0,),
            "shell",
            least=Level.PARAMETER,
        ),
        Sink(
            "code_injection",
            "eval window.eval global.eval globalThis.eval vm.runInContext "
            "vm.runInNewContext vm.runInThisContext vm.compileFunction new.vm.Script "
            "new.Script setImmediate.eval execScript vm.run *.evalScript",
            label="code",
        ),
        Sink(
            "code_injection",
            "Function new.Function new.AsyncFunction new.GeneratorFunction",
            (ANY,),
            "code",
        ),
        Sink(
            "code_injection",
            "setTimeout setInterval window.setTimeout window.setInterval",
            (0,),
            "code",
            when=lambda s: "built" in s.arg(0).marks or s.arg(0).level >= Level.INPUT,
        ),
        Sink("dynamic_import", "require import", (0,), "path", factor=0.95),
        Sink(
            "sql_injection",
            "@db.query @db.execute @db.raw @db.run @db.all @db.get @db.exec "
            "@db.prepare @db.each @db.queryRaw *.queryRawUnsafe *.$queryRawUnsafe "
            "*.$executeRawUnsafe *.whereRaw *.orderByRaw *.havingRaw *.selectRaw *.joinRaw "
            "sequelize.literal Sequelize.literal knex.raw *.unsafe",
            label="sql",
            when=lambda s: (
                _sql_text(s)
                or s.arg(0).level >= Level.REQUEST
                or s.name.lower().endswith(("raw", "unsafe", "literal"))
            ),
        ),
        Sink(
            "sql_injection",
            "*.query *.execute *.all *.run *.get",
            label="sql",
            built=True,
            when=_sql_text,
        ),
        Sink(
            "nosql_injection",
            "@nosql.find @nosql.findOne @nosql.findOneAndUpdate "
            "@nosql.findOneAndDelete @nosql.deleteOne @nosql.deleteMany @nosql.updateOne "
            "@nosql.updateMany @nosql.count @nosql.countDocuments @nosql.aggregate "
            "*.findOne",
            (0,),
            "nosql",
            least=Level.REQUEST,
            when=_object_query,
        ),
        Sink(
            "path_traversal",
            "fs.readFile fs.readFileSync fs.writeFile fs.writeFileSync "
            "fs.createReadStream fs.createWriteStream fs.unlink fs.unlinkSync fs.rm fs.rmSync "
            "fs.readdir fs.readdirSync fs.open fs.openSync fs.appendFile fs.appendFileSync "
            "fs.rename fs.renameSync fs.mkdir fs.mkdirSync fs.rmdir fs.rmdirSync fs.copyFile "
            "fs.copyFileSync fs.access fs.statSync fs.stat fs.symlink fs.chmod "
            "promises.readFile promises.writeFile promises.unlink promises.readdir "
            "promises.open promises.rm fsPromises.readFile fsPromises.writeFile fse.readFile "
            "fse.remove fse.copy fs.remove fs.outputFile readFileSync readFile writeFileSync "
            "createReadStream unlinkSync",
            (0,),
            "path",
        ),
        Sink(
            "path_traversal",
            "res.sendFile res.download response.sendFile reply.sendFile *.sendfile",
            (0,),
            "path",
            least=Level.PARAMETER,
            when=lambda s: s.option("root") is None,
        ),
        Sink(
            "xss",
            "document.write document.writeln *.insertAdjacentHTML *.createContextualFragment "
            "$.html jQuery.html *.html *.append_html *.parseHTML",
            (0, 1),
            "html",
            when=lambda s: s.name not in ("html",) or len(s.args) == 1,
        ),
        Sink(
            "xss",
            "res.send response.send res.write res.end response.write response.end "
            "reply.send c.html",
            (0,),
            "html",
            least=Level.INPUT,
            when=lambda s: s.arg(0).text is not None or not s.arg(0).fields,
        ),
        Sink(
            "open_redirect",
            "res.redirect response.redirect reply.redirect ctx.redirect "
            "redirect *.redirect NextResponse.redirect Response.redirect",
            (0, 1),
            "redirect",
            least=Level.INPUT,
            when=lambda s: _leads_away(s),
        ),
        Sink(
            "open_redirect",
            "location.assign location.replace window.open "
            "window.location.assign window.location.replace",
            (0,),
            "redirect",
            least=Level.REQUEST,
        ),
        Sink(
            "ssrf",
            "fetch axios axios.get axios.post axios.request axios.put http.get https.get "
            "http.request https.request got got.get request request.get needle.get superagent.get "
            "node-fetch undici.request request.post needle",
            (0,),
            "url",
            options=("url", "uri"),
            when=lambda s: _chooses_host(s),
        ),
        Sink("regex_injection", "new.RegExp RegExp", (0,), "regex"),
        Sink(
            "template_injection",
            "ejs.render pug.render pug.compile handlebars.compile "
            "Handlebars.compile nunjucks.renderString _.template mustache.render dot.template "
            "ejs.compile jade.compile Twig.twig lodash.template",
            (0,),
            "template",
        ),
        Sink(
            "unsafe_deserialization",
            "*.unserialize serialize.unserialize unserialize "
            "node-serialize.unserialize funcster.deepDeserialize cryo.parse",
            (0,),
            "objects",
        ),
        Sink(
            "xpath_injection",
            "xpath.select xpath.select1 xpath.evaluate *.evaluate document.evaluate xpath.parse",
            (0,),
            "xpath",
            built=True,
        ),
        Sink(
            "ldap_injection",
            "*.search client.search",
            (0, 1),
            "ldap",
            built=True,
            options=("filter",),
            when=lambda s: "=" in str(s.arg(1).text) or s.option("filter") is not None,
        ),
        Sink(
            "mass_assignment",
            "Object.assign _.merge _.extend _.defaultsDeep merge deepmerge "
            "$.extend jQuery.extend lodash.merge",
            (1, 2),
            "fields",
            least=Level.REQUEST,
        ),
        Sink(
            "mass_assignment",
            "@nosql.create *.updateOne *.findByIdAndUpdate @nosql.update",
            (0, 1),
            "fields",
            least=Level.REQUEST,
            factor=0.75,
            when=lambda s: any(a.path.endswith((".body", ".query")) for a in s.args),
        ),
        Sink(
            "log_injection",
            "console.log console.info console.warn console.error logger.info "
            "logger.warn logger.error log.info",
            (ANY,),
            "line",
            least=Level.REQUEST,
        ),
        Sink(
            "header_injection",
            "res.setHeader res.header res.set response.setHeader res.writeHead",
            (1,),
            "line",
            least=Level.INPUT,
        ),
        Sink(
            "format_injection",
            "util.format console.log",
            (0,),
            "format",
            least=Level.REQUEST,
            when=lambda s: len(s.args) > 1 and s.arg(0).text is None,
            factor=0.6,
        ),
    ),
    properties=(
        Property("weak_hash", "*.createHash createHash *.createHmac", _hash),
        Property("weak_hash", "CryptoJS.MD5 CryptoJS.SHA1 md5 sha1", lambda s: 0.6),
        Property("password_hash", "*.update", _password_hash),
        Property("weak_cipher", "*.createCipheriv createCipheriv *.createDecipheriv", _cipher),
        Property(
            "weak_cipher", "crypto.createCipher createCipher crypto.createDecipher", _without_iv
        ),
        Property(
            "weak_cipher",
            "DES.encrypt TripleDES.encrypt RC4.encrypt CryptoJS.DES.encrypt CryptoJS.RC4.encrypt",
            lambda s: 0.82,
        ),
        Property("fixed_iv", "*.createCipheriv createCipheriv", _fixed_iv),
        Property(
            "fixed_salt",
            "*.pbkdf2Sync *.pbkdf2 *.scryptSync *.scrypt pbkdf2Sync scryptSync "
            "bcrypt.hash bcrypt.hashSync",
            _fixed_salt,
        ),
        Property("fixed_salt", "*.randomBytes randomBytes", _short_salt),
        Property("password_hash", "*.pbkdf2Sync *.pbkdf2", _few_rounds),
        Property(
            "weak_key", "*.generateKeyPairSync *.generateKeyPair generateKeyPairSync", _short_key
        ),
        Property(
            "weak_key",
            "new.NodeRSA *.generateKeyPair *.generateKeyPairAsync rsa.generateKeyPair",
            _few_bits,
        ),
        Property("weak_random", "Math.random", _random),
        Property(
            "weak_random",
            "crypto.pseudoRandomBytes *.pseudoRandomBytes pseudoRandomBytes",
            lambda s: 0.75,
        ),
        Property(
            "unverified_token", "jwt.verify *.jwtVerify jsonwebtoken.verify", _token_unverified
        ),
        Property(
            "unverified_token",
            "jwt.decode jsonwebtoken.decode jwt_decode jwtDecode",
            _token_decoded,
        ),
        Property("unverified_token", "jwt.sign jsonwebtoken.sign", _sign_none),
        Property(
            "file_permissions",
            "fs.chmod fs.chmodSync fs.writeFile fs.writeFileSync fs.mkdir "
            "fs.mkdirSync promises.chmod fs.open fs.openSync chmodSync",
            _open_mode,
        ),
        Property(
            "insecure_cookie",
            "res.cookie response.cookie reply.setCookie cookies.set Cookies.set",
            _cookie,
        ),
        Property("cors_any", "cors", _cors_any),
        Property("postmessage_origin", "*.postMessage", _message_to_any),
        Property("postmessage_origin", "*.addEventListener addEventListener", _message_from_any),
        Property("unsafe_deserialization", "yaml.load *.load js-yaml.load jsyaml.load", _yaml_full),
        Property(
            "xxe",
            "libxml.parseXml libxmljs.parseXml *.parseXml *.parseXmlString libxmljs.parseXmlString",
            _xml_entities,
        ),
        Property("uninitialised_buffer", "Buffer.allocUnsafe Buffer.allocUnsafeSlow", _buffer_old),
        Property("uninitialised_buffer", "new.Buffer Buffer", _new_buffer),
        Property(
            "unsafe_memory",
            "*.readUInt8 *.readUInt16BE *.readUInt16LE *.readUInt32BE "
            "*.readUInt32LE *.readInt8 *.readInt16BE *.readInt16LE *.readInt32BE "
            "*.readInt32LE *.writeUInt8 *.writeUInt16BE *.writeUInt16LE *.writeUInt32BE "
            "*.writeUInt32LE *.writeInt32BE *.writeInt32LE *.readFloatLE *.readDoubleLE",
            _no_assert,
        ),
        Property("weak_host_check", "*.includes *.indexOf *.startsWith *.endsWith", _weak_host),
        Property(
            "clear_text",
            "fetch axios.get http.get axios.post",
            lambda s: (
                0.5
                if re.match(
                    r"http://(?!localhost|127\.|0\.0|\[?::1|10\.|192\.168|\w+[:/]|\w+$)",
                    s.arg(0).shape,
                )
                else 0.0
            ),
        ),
        Property(
            "temporary_file",
            "fs.writeFileSync fs.writeFile fs.createWriteStream fs.openSync",
            lambda s: 0.5 if re.match(r"/tmp/[^\0]+$", s.arg(0).shape) else 0.0,
        ),
    ),
    settings=(
        Setting(
            "tls_off",
            "rejectUnauthorized strictSSL checkServerIdentity insecureSkipVerify",
            _off,
            0.85,
        ),
        Setting(
            "tls_off", "NODE_TLS_REJECT_UNAUTHORIZED", lambda v: v.known in ("0", "false"), 0.88
        ),
        Setting("weak_tls", "minVersion secureProtocol maxVersion", _old_tls, 0.7),
        Setting("insecure_cookie", "httpOnly secure", _off, 0.6, within=""),
        Setting("cors_any", "Access-Control-Allow-Origin", lambda v: v.known == "*", 0.5),
        Setting(
            "input_validation_off", "contextIsolation webSecurity sandbox", _off, 0.7, within=""
        ),
        Setting(
            "code_injection",
            "nodeIntegration nodeIntegrationInWorker enableRemoteModule",
            lambda v: v.known == "true",
            0.6,
        ),
        Setting("xxe", "noent", lambda v: v.known == "true", 0.8),
    ),
    stores=(
        Store("xss", "innerHTML outerHTML srcdoc", "html", factor=1.0),
        Store("xss", "__html dangerouslySetInnerHTML v-html", "html", factor=1.0),
        Store(
            "open_redirect",
            "location href",
            "redirect",
            within=r"location|window|^$",
            least=Level.REQUEST,
        ),
        Store("nosql_injection", "$where", "nosql", least=Level.PARAMETER, factor=1.1),
        Store("code_injection", "onclick onload onerror", "code", least=Level.REQUEST),
    ),
    cleaners=(
        Cleaner(
            "parseInt parseFloat Number Number.parseInt Number.parseFloat BigInt Boolean "
            "new.Date encodeURIComponent",
            "all",
        ),
        Cleaner("encodeURIComponent encodeURI", "url html path line redirect"),
        Cleaner(
            "escapeHtml escape-html he.encode he.escape validator.escape _.escape "
            "DOMPurify.sanitize sanitizeHtml xss sanitize-html lodash.escape "
            "Handlebars.escapeExpression xssFilters.inHTMLData entities.encode "
            "sanitizer.sanitize purify.sanitize",
            "html",
        ),
        Cleaner("path.basename basename", "path"),
        Cleaner("sanitize-filename sanitizeFilename", "path line"),
        Cleaner(
            "mysql.escape *.escapeId *.escapeLiteral *.escapeIdentifier pgFormat "
            "sqlstring.escape SqlString.escape db.escape connection.escape *.escape",
            "sql",
        ),
        Cleaner(
            "shellEscape shell-escape shellQuote.quote shell-quote.quote quote shellescape", "shell"
        ),
        Cleaner(
            "_.escapeRegExp escapeRegExp escape-string-regexp escapeStringRegexp RegExp.escape "
            "lodash.escapeRegExp",
            "regex",
        ),
        Cleaner("String *.toString", "nosql"),
        Cleaner("mongoSanitize.sanitize sanitize", "nosql"),
        Cleaner("JSON.stringify", "line shell_words nosql"),
        Cleaner("ldapEscape.filter *.ldapEscape", "ldap"),
    ),
    checks=(
        Check("Array.isArray", "none"),
        Check("path.isAbsolute isAbsolute", "none", says=False),
    ),
    formats="util.format format sprintf sprintf-js.sprintf",
    joins="path.join join.join *.concat Array.join",
    resolves="path.resolve path.normalize fs.realpathSync fs.realpath promises.realpath resolve "
    "normalize realpathSync path.relative",
    harmless=r"^(?:number|boolean|bigint|Date|Function|\(\))|=>",
    trusted=r"^(?:res|response|next|cb|callback|done|err|error|logger|log|db|client|conn|"
    r"connection|pool|io|socket|server|app|fs|resolve|reject|i|idx|index|count|event|e|evt|el|"
    r"element|node|opts|options|config|settings|resolver|store|dispatch|\$|self|ctxt)$",
    globals=r"^(?:console|Math|JSON|Object|Array|String|Number|Promise|Date|module|exports|"
    r"__dirname|__filename|undefined|NaN|Infinity|null|window|document|Buffer|Symbol|Map|"
    r"Set|RegExp|Error|global|globalThis|require|process\.(?:cwd|pid|platform|exit)|i|j|k|"
    r"os\.(?:tmpdir|homedir))\b",
    ends="process.exit *.exit reject next done cb callback res.sendStatus",
    receivers={
        "db": r"(?:^|[._])(?:db|database|conn\w*|client|pool|sql\w*|mysql\w*|pg\w*|knex|"
        r"sequelize|prisma|sqlite\w*|session|trx|transaction|tx|manager|repository|repo|queryRunner|"
        r"cursor|stmt|datasource|connection)(?:$|[.(\[])",
        "nosql": r"(?:^|[._])(?:\w*collection\w*|db|mongo\w*|[A-Z]\w*|users?|models?|\w+Model)"
        r"(?:$|[.(\[])",
    },
    advice={
        "command_injection": "use execFile or spawn with an array of arguments and no shell",
        "sql_injection": "pass values as parameters: query('… WHERE id = ?', [id])",
        "code_injection": "parse data with JSON.parse, or map names to functions",
        "path_traversal": "resolve the path, then check that path.relative stays inside the folder",
        "xss": "use textContent, or escape or sanitise with DOMPurify first",
        "weak_random": "use crypto.randomBytes, crypto.randomUUID or crypto.getRandomValues",
        "nosql_injection": "convert with String() or check that the value is a string",
        "regex_injection": "escape the text before it enters the expression",
        "fixed_iv": "use crypto.randomBytes(12) for each message",
    },
)


def _leads_away(site: Site) -> bool:
    """Is the beginning of the address open?"""
    for value in site.args:
        if value.level >= Level.INPUT:
            start = value.shape
            return not re.match(r"https?://[^/\0]+/|/[^/\\\0]|[?#]|\.", start)
    return False


def _chooses_host(site: Site) -> bool:
    value = site.arg(0)
    if value.fields:
        value = value.fields.get("url") or value.fields.get("uri") or value.fields.get(
            "host"
        ) or value.fields.get("hostname") or Value()  # fmt: skip
    return not re.match(r"https?://[^/\0]+/|/[^/\0]", value.shape)
