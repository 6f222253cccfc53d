"""JavaScript and TypeScript: what their calls, options and names mean for safety."""

from bluecode.defenses.checkers.rules.javascript_calls import (
    PLAIN_REQUEST,
    REQUEST,
    ROUTES,
    buffer_old,
    cipher,
    cookie,
    cors_any,
    few_bits,
    few_rounds,
    fixed_iv,
    fixed_salt,
    message_from_any,
    message_to_any,
    new_buffer,
    no_assert,
    off,
    old_tls,
    open_mode,
    open_to_all,
    password_hash,
    sends_secret_field,
    sends_stack,
    short_key,
    short_salt,
    sign_none,
    token_decoded,
    token_unverified,
    uploaded_name,
    weak_host,
    without_iv,
    xml_entities,
    yaml_full,
)
from bluecode.defenses.checkers.rules.javascript_sinks import ANSWERS, LOGS, SINKS
from bluecode.defenses.checkers.rules.keeping import (
    inserts_typed,
    literal_secret,
    logs_secret,
    stores_typed,
)
from bluecode.defenses.checkers.rules.rule import (
    BASE,
    Check,
    Cleaner,
    Language,
    Property,
    Setting,
    Source,
    Store,
)  # fmt: skip
from bluecode.defenses.checkers.rules.values import Level
from bluecode.defenses.checkers.rules.words import (
    broken_hash,
    cors_header,
    plain_address,
    random_secret,
    shared_folder,
    weak_hash,
)

RULES = Language(
    name="javascript",
    sources=(
        Source(
            Level.NONE,
            paths=r"^(?:req|request|ctx)\.file\.(?:path|filename|destination|size|mimetype)$",
        ),
        Source(Level.REQUEST, paths=PLAIN_REQUEST, cleared="nosql"),
        Source(Level.REQUEST, paths=REQUEST),
        Source(
            Level.REQUEST,
            paths=r"^(?:window\.|document\.|self\.|globalThis\.)?(?:location\.(?:hash|search|href|"
            r"pathname)|document\.(?:URL|documentURI|referrer|cookie)|window\.name|"
            r"router\.query|\$route\.query)\b",
        ),
        Source(
            Level.REQUEST,
            paths=r"(?:^|\.)snapshot\.(?:queryParams|params|queryParamMap|paramMap|fragment)\b",
        ),
        Source(Level.INPUT, paths=r"^(?:XMLHttpRequest|xhr)\.response(?:Text)?$"),
        Source(Level.INPUT, paths=r"^process\.(?:argv|env|stdin)\b|^Deno\.args\b"),
        Source(
            Level.REQUEST,
            acts_as="req",
            parameters=r"^(?:req|request|ctx)$",
            types=r"\b(?:Request|NextApiRequest|IncomingMessage|FastifyRequest|NextRequest|Context)\b|"
            r"@Req\(",
        ),
        Source(Level.REQUEST, types=r"@(?:Body|Query|Param|Headers)\("),
        Source(
            Level.REQUEST,
            calls="*.searchParams.get URLSearchParams.get searchParams.get req.param req.get "
            "request.get formData.get request.formData request.json req.json request.text "
            "*.getHeader c.req.query c.req.param",
        ),
        Source(Level.INPUT, calls="prompt *.question readline.question rl.question"),
    ),
    sinks=SINKS,
    properties=(
        Property("unsafe_upload", "cb callback", uploaded_name),
        Property(
            "hardcoded_secret",
            "jwt.sign jwt.verify jsonwebtoken.sign jsonwebtoken.verify jwt.encode",
            literal_secret(1),
        ),
        Property("hardcoded_secret", "*.createHmac createHmac", literal_secret(1)),
        Property(
            "hardcoded_secret",
            "*.createCipheriv createCipheriv CryptoJS.AES.encrypt AES.encrypt",
            literal_secret(1),
        ),
        Property("secret_logged", LOGS, logs_secret),
        Property("plain_password", "*.insertOne *.insertMany *.insert", inserts_typed),
        Property("plain_password", "*.query *.execute *.run *.none *.one", stores_typed),
        Property("error_details", ANSWERS, sends_stack),
        Property("sensitive_answer", ANSWERS, sends_secret_field),
        Property("open_admin_route", ROUTES, open_to_all),
        Property("weak_hash", "*.createHash createHash *.createHmac", weak_hash),
        Property("weak_hash", "CryptoJS.MD5 CryptoJS.SHA1 md5 sha1", broken_hash),
        Property("password_hash", "*.update", password_hash),
        Property("weak_cipher", "*.createCipheriv createCipheriv *.createDecipheriv", cipher),
        Property(
            "weak_cipher", "crypto.createCipher createCipher crypto.createDecipher", without_iv
        ),
        Property(
            "weak_cipher",
            "DES.encrypt TripleDES.encrypt RC4.encrypt CryptoJS.DES.encrypt CryptoJS.RC4.encrypt",
            lambda s: 0.82,
        ),
        Property("fixed_iv", "*.createCipheriv createCipheriv", fixed_iv),
        Property(
            "fixed_salt",
            "*.pbkdf2Sync *.pbkdf2 *.scryptSync *.scrypt pbkdf2Sync scryptSync "
            "bcrypt.hash bcrypt.hashSync",
            fixed_salt,
        ),
        Property("fixed_salt", "*.randomBytes randomBytes", short_salt),
        Property("password_hash", "*.pbkdf2Sync *.pbkdf2", few_rounds),
        Property(
            "weak_key", "*.generateKeyPairSync *.generateKeyPair generateKeyPairSync", short_key
        ),
        Property(
            "weak_key",
            "new.NodeRSA *.generateKeyPair *.generateKeyPairAsync rsa.generateKeyPair",
            few_bits,
        ),
        Property("weak_random", "Math.random", random_secret),
        Property(
            "weak_random",
            "crypto.pseudoRandomBytes *.pseudoRandomBytes pseudoRandomBytes",
            lambda s: 0.75,
        ),
        Property(
            "unverified_token", "jwt.verify *.jwtVerify jsonwebtoken.verify", token_unverified
        ),
        Property(
            "unverified_token",
            "jwt.decode jsonwebtoken.decode jwt_decode jwtDecode",
            token_decoded,
        ),
        Property("unverified_token", "jwt.sign jsonwebtoken.sign", sign_none),
        Property(
            "file_permissions",
            "fs.chmod fs.chmodSync fs.writeFile fs.writeFileSync fs.mkdir "
            "fs.mkdirSync promises.chmod fs.open fs.openSync chmodSync",
            open_mode,
        ),
        Property(
            "insecure_cookie",
            "res.cookie response.cookie reply.setCookie cookies.set Cookies.set",
            cookie,
        ),
        Property("cors_any", "cors", cors_any),
        Property("cors_any", "*.setHeader *.header *.set *.append", cors_header),
        Property("postmessage_origin", "*.postMessage", message_to_any),
        Property("postmessage_origin", "*.addEventListener addEventListener", message_from_any),
        Property("unsafe_deserialization", "yaml.load *.load js-yaml.load jsyaml.load", yaml_full),
        Property(
            "xxe",
            "libxml.parseXml libxmljs.parseXml *.parseXml *.parseXmlString libxmljs.parseXmlString",
            xml_entities,
        ),
        Property("uninitialised_buffer", "Buffer.allocUnsafe Buffer.allocUnsafeSlow", buffer_old),
        Property("uninitialised_buffer", "new.Buffer Buffer", new_buffer),
        Property(
            "unsafe_memory",
            "*.readUInt8 *.readUInt16BE *.readUInt16LE *.readUInt32BE "
            "*.readUInt32LE *.readInt8 *.readInt16BE *.readInt16LE *.readInt32BE "
            "*.readInt32LE *.writeUInt8 *.writeUInt16BE *.writeUInt16LE *.writeUInt32BE "
            "*.writeUInt32LE *.writeInt32BE *.writeInt32LE *.readFloatLE *.readDoubleLE",
            no_assert,
        ),
        Property("weak_host_check", "*.includes *.indexOf *.startsWith *.endsWith", weak_host),
        Property("clear_text", "fetch axios.get http.get axios.post", plain_address),
        Property(
            "temporary_file",
            "fs.writeFileSync fs.writeFile fs.createWriteStream fs.openSync",
            shared_folder,
        ),
    ),
    settings=(
        Setting(
            "tls_off",
            "rejectUnauthorized strictSSL checkServerIdentity insecureSkipVerify",
            off,
            0.85,
        ),
        Setting(
            "tls_off", "NODE_TLS_REJECT_UNAUTHORIZED", lambda v: v.known in ("0", "false"), 0.88
        ),
        Setting("weak_tls", "minVersion secureProtocol maxVersion", old_tls, 0.7),
        Setting("insecure_cookie", "httpOnly secure", off, 0.6, within=""),
        Setting("cors_any", "Access-Control-Allow-Origin", lambda v: v.known == "*", 0.5),
        Setting(
            "input_validation_off", "contextIsolation webSecurity sandbox", off, 0.7, within=""
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
        Store("template_injection", "template", "template", built=True, least=Level.REQUEST),
        Store("xss", "innerHTML outerHTML srcdoc", "html", factor=1.0),
        Store("xss", "__html dangerouslySetInnerHTML v-html", "html", factor=1.0),
        Store(
            "open_redirect",
            "location href",
            "redirect",
            within=r"location|window|^$",
            least=Level.REQUEST,
        ),
        Store("nosql_injection", "where", "nosql", built=True, least=Level.PARAMETER, factor=1.1),
        Store("xss", "body", "html", within=r"^(?:ctx|context)\b", built=True, least=Level.REQUEST),
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
        Cleaner("String", "nosql"),
        Cleaner("*.toString", "nosql", BASE),
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
        "nosql": r"(?:^|[._])(?:\w*collection\w*|db|mongo\w*|(?-i:[A-Z]\w*)|users?|models?|"
        r"\w+Model)"
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
