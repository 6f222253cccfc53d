"""C#: what its calls, attributes and options mean for safety."""

import re

from bluecode.defenses.checkers.rules.csharp_calls import (
    cookie,
    member_name,
    old_protocol,
    password_rule,
    returns_true,
    xml_open,
)
from bluecode.defenses.checkers.rules.csharp_sinks import SINKS
from bluecode.defenses.checkers.rules.keeping import literal_secret, logs_secret, stores_typed
from bluecode.defenses.checkers.rules.rule import (
    Cleaner,
    Language,
    Property,
    Setting,
    Source,
    Store,
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
    name="csharp",
    sources=(
        Source(
            Level.REQUEST,
            paths=r"^(?:HttpContext\.(?:Current\.)?|this\.|context\.|httpContext\.|_context\.)?"
            r"[Rr]equest\.(?:Query|Form|QueryString|Params|Headers|Cookies|Body|Path|RawUrl|Url|"
            r"Files|UserAgent|ServerVariables|RouteValues)\b|^Request$",
            types=r"^\[?(?:From(?:Query|Body|Form|Route|Header))|\[From(?:Query|Body|Form|Route)",
        ),
        Source(
            Level.REQUEST,
            types=r"^(?:IFormFile|HttpRequest|HttpRequestMessage|"
            r"HttpPostedFileBase)$",
            acts_as="Request",
        ),
        Source(
            Level.INPUT,
            parameters=r"^args$",
            calls="Console.ReadLine Environment.GetEnvironmentVariable *.ReadLine "
            "Environment.GetCommandLineArgs",
        ),
    ),
    sinks=SINKS,
    properties=(
        Property(
            "hardcoded_secret",
            "new.SymmetricSecurityKey new.HMACSHA256 new.NetworkCredential",
            lambda s: literal_secret(1 if s.name == "NetworkCredential" else 0)(s),
        ),
        Property(
            "secret_logged",
            "*.LogInformation *.LogDebug *.LogWarning *.LogError *.LogTrace Console.WriteLine "
            "log.Info logger.Info Log.Information Log.Debug",
            logs_secret,
        ),
        Property("plain_password", "*.Execute *.ExecuteAsync *.ExecuteSqlRaw", stores_typed),
        Property(
            "weak_hash",
            "MD5.Create SHA1.Create MD5.HashData SHA1.HashData "
            "new.MD5CryptoServiceProvider new.SHA1CryptoServiceProvider new.SHA1Managed "
            "new.HMACMD5 new.HMACSHA1 new.MD5Cng new.SHA1Cng",
            broken_hash,
        ),
        Property("weak_hash", "HashAlgorithm.Create CryptoConfig.CreateFromName", weak_hash),
        Property("weak_hash", "*.HashPasswordForStoringInConfigFile", lambda s: 0.75),
        Property(
            "weak_cipher",
            "DES.Create TripleDES.Create RC2.Create "
            "new.DESCryptoServiceProvider new.TripleDESCryptoServiceProvider "
            "new.RC2CryptoServiceProvider new.TripleDESCng",
            lambda s: 0.8,
        ),
        Property(
            "weak_key",
            "new.RSACryptoServiceProvider RSA.Create new.RSACng new.DSACryptoServiceProvider",
            few_bits(),
        ),
        Property(
            "weak_random",
            "new.Random *.Next *.NextBytes Random.Next Random.NextBytes "
            "*.NextDouble Random.Range UnityEngine.Random.Range",
            lambda s: random_secret(s) if "RandomNumberGenerator" not in s.base.path else 0.0,
        ),
        Property(
            "unsafe_deserialization",
            "new.BinaryFormatter new.SoapFormatter new.NetDataContractSerializer new.LosFormatter",
            lambda s: 0.65,
        ),
        Property(
            "unsafe_deserialization",
            "new.JavaScriptSerializer",
            lambda s: 0.7 if "Resolver" in s.arg(0).path else 0.0,
        ),
        Property(
            "xxe",
            "new.XmlDocument new.XmlTextReader XmlReader.Create new.XmlReaderSettings",
            xml_open,
        ),
        Property("insecure_cookie", "new.HttpCookie new.CookieOptions", cookie),
        Property("weak_password_rule", "new.PasswordValidator", password_rule),
        Property(
            "tls_off",
            "HttpClientHandler.DangerousAcceptAnyServerCertificateValidator",
            lambda s: 0.85,
        ),
        Property("cors_any", "Headers.Add Headers.Append *.AddHeader", cors_header),
        Property("path_traversal", "*.ExtractToFile", member_name),
        Property(
            "cors_any",
            "*.AllowAnyOrigin *.WithOrigins *.SetIsOriginAllowed",
            lambda s: 0.5 if s.name == "AllowAnyOrigin" or s.arg(0).known == "*" else 0.0,
        ),
        Property(
            "debug_mode",
            "*.UseDeveloperExceptionPage",
            lambda s: 0.5 if not s.mentions(r"IsDevelopment\(\)") else 0.0,
        ),
        Property(
            "temporary_file",
            "File.WriteAllText File.Create",
            shared_folder,
        ),
        Property("unverified_token", "*.ReadJwtToken *.ReadToken", lambda s: 0.6),
        Property(
            "timing_comparison",
            "*.SequenceEqual",
            lambda s: 0.5 if re.search(r"hmac|signature|token|passw|hash", s.purpose) else 0.0,
        ),
    ),
    settings=(
        Setting(
            "tls_off",
            "ServerCertificateValidationCallback "
            "ServerCertificateCustomValidationCallback RemoteCertificateValidationCallback",
            returns_true,
            0.86,
        ),
        Setting("weak_cipher", "Mode", lambda v: v.path.endswith("CipherMode.ECB"), 0.82),
        Setting("weak_cipher", "Mode", lambda v: v.path.endswith("CipherMode.CBC"), 0.45),
        Setting("weak_tls", "SecurityProtocol SslProtocols", old_protocol, 0.7),
        Setting("xxe", "DtdProcessing", lambda v: v.path.endswith("DtdProcessing.Parse"), 0.8),
        Setting("xxe", "XmlResolver", lambda v: "XmlUrlResolver" in v.path, 0.78),
        Setting("xxe", "ProhibitDtd", lambda v: v.known == "false", 0.75),
        Setting(
            "unsafe_deserialization",
            "TypeNameHandling",
            lambda v: bool(re.search(r"TypeNameHandling\.(?:All|Auto|Objects|Arrays)$", v.path)),
            0.8,
        ),
        Setting("insecure_cookie", "HttpOnly Secure", lambda v: v.known == "false", 0.62),
        Setting(
            "unverified_token",
            "ValidateIssuerSigningKey RequireSignedTokens ValidateLifetime",
            lambda v: v.known == "false",
            0.72,
        ),
        Setting(
            "input_validation_off",
            "ValidateRequest validateRequest",
            lambda v: v.known == "false",
            0.65,
        ),
        Setting(
            "weak_password_rule",
            "RequiredLength",
            lambda v: (v.known or "").isdigit() and int(v.known or "9") < 8,
            0.58,
        ),
    ),
    stores=(
        Store("sql_injection", "CommandText", "sql_text"),
        Store(
            "command_injection",
            "Arguments",
            "shell",
            within=r"ProcessStartInfo|StartInfo|psi|"
            r"startInfo|info|process",
            factor=0.98,
        ),
        Store(
            "argument_injection",
            "FileName",
            "shell",
            within=r"ProcessStartInfo|StartInfo|psi|"
            r"startInfo",
            least=Level.PARAMETER,
            factor=1.3,
        ),
        Store("ldap_injection", "Filter", "ldap", within=r"Searcher|searcher|ds\b"),
        Store(
            "xss",
            "InnerHtml Text",
            "html",
            within=r"Literal|lit|lbl|Label|html",
            least=Level.REQUEST,
        ),
    ),
    cleaners=(
        Cleaner(
            "int.Parse Convert.ToInt32 long.Parse Guid.Parse Int32.Parse Convert.ToInt64 "
            "decimal.Parse bool.Parse DateTime.Parse double.Parse Convert.ToDouble "
            "Enum.Parse",
            "all",
        ),
        Cleaner("Path.GetFileName", "path"),
        Cleaner(
            "HttpUtility.HtmlEncode WebUtility.HtmlEncode *.HtmlEncode HtmlEncoder.Encode "
            "AntiXssEncoder.HtmlEncode *.Sanitize *.Encode",
            "html",
        ),
        Cleaner(
            "Uri.EscapeDataString HttpUtility.UrlEncode WebUtility.UrlEncode *.UrlEncode",
            "url path html line redirect",
        ),
        Cleaner("Regex.Escape", "regex"),
        Cleaner("SecurityElement.Escape", "xpath html"),
        Cleaner("Encoder.LdapFilterEncode", "ldap"),
    ),
    formats="String.Format string.Format *.AppendFormat",
    joins="Path.Combine Path.Join string.Join string.Concat String.Concat String.Join",
    resolves="Path.GetFullPath",
    harmless=r"^(?:int|long|short|byte|float|double|decimal|bool|char|Guid|DateTime\w*|TimeSpan|"
    r"CancellationToken|I[A-Z]\w+|\w*(?:Context|Service|Repository|Connection|Logger|Options|"
    r"Response|Settings))\??$",
    trusted=r"^(?:connection|conn|con|db|logger|context|ctx|response|sender|e|ex|ct|token|"
    r"cancellationToken|options|services|app|builder)$",
    globals=r"^(?:Console|File|Directory|Path|Convert|Environment|String|string|int|Math|Guid|"
    r"DateTime|Encoding|Process|Regex|MD5|SHA1|SHA256|CipherMode|DtdProcessing|"
    r"SecurityProtocolType|null|true|false|Activator|Type|Assembly|Task|RandomNumberGenerator|"
    r"TypeNameHandling|System|Configuration|ConfigurationManager|UnityEngine|Random)\b",
    ends="Environment.Exit Application.Exit",
    advice={
        "command_injection": "use ArgumentList with a fixed FileName and no shell",
        "sql_injection": 'add parameters: command.Parameters.AddWithValue("@id", id)',
        "unsafe_deserialization": "use System.Text.Json with the expected type",
        "path_traversal": "combine, GetFullPath, then check StartsWith on the folder with its end",
        "weak_random": "use RandomNumberGenerator",
        "open_redirect": "use LocalRedirect or Url.IsLocalUrl",
        "xxe": "set DtdProcessing.Prohibit and XmlResolver to null",
        "missing_csrf": "add [ValidateAntiForgeryToken] to the action",
    },
)
