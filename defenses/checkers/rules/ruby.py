"""Ruby: what its calls and options mean for safety."""

import re

from bluecode.defenses.checkers.rules.keeping import literal_secret, logs_secret, stores_typed
from bluecode.defenses.checkers.rules.rule import (
    BASE,
    Cleaner,
    Language,
    Property,
    Setting,
    Sink,
    Source,
)
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.values import HOLE, Level
from bluecode.defenses.checkers.rules.words import (
    WEAK_CIPHER,
    broken_hash,
    chooses_host,
    few_bits,
    leads_away,
    mode_for_others,
    random_secret,
    shared_folder,
)


def _cipher(site: Site) -> float:
    return 0.82 if WEAK_CIPHER.search(site.text(0)) or "ecb" in site.text(0) else 0.0


def _one_text(site: Site) -> bool:
    """A shell reads the command only when it is a single text."""
    given = [arg for arg in site.args if not arg.fields]
    return len(given) == 1


def _mode(site: Site) -> float:
    return mode_for_others(site.arg(0).known, site.purpose)


def _member(site: Site) -> float:
    """A member of an archive written where its name says."""
    named = any(part.name == "name" for arg in site.node.args for part in arg.walk())
    return 0.7 if named and not site.mentions(r"start_with\?|expand_path|basename") else 0.0


def _unsafe_yaml(site: Site) -> bool:
    return site.option("permitted_classes") is None


def _where_text(site: Site) -> bool:
    return "built" in site.arg(0).marks


def _token_unverified(site: Site) -> float:
    given = site.arg(2).known
    return 0.85 if given == "false" or site.arg(1).known == "nil" and given is not None else 0.0


_MODEL = re.compile(r"\b(?:find(?:_by!?)?|new|build|create!?|first|last)\(\)$")
"""Calls that give back an object of the application, whose address the framework makes."""

RULES = Language(
    name="ruby",
    sources=(
        Source(
            Level.REQUEST,
            paths=r"^(?:self\.)?(?:params|cookies)\b|^request\.(?:params|body|headers|env|"
            r"query_string|path|url|referer|referrer|cookies|GET|POST|fullpath|host)\b",
            calls="params cookies request.params request.body request.headers request.referer "
            "params.permit params.require params.fetch *.original_filename request.env",
        ),
        Source(
            Level.INPUT,
            paths=r"^(?:ARGV|ENV)\b",
            calls="gets STDIN.gets ARGF.read STDIN.read "
            "ENV.fetch $stdin.gets stdin.gets ARGV.shift Kernel.gets",
        ),
    ),
    sinks=(
        Sink(
            "command_injection",
            "system exec spawn Kernel.system Kernel.exec Kernel.spawn "
            "Open3.capture2 Open3.capture3 Open3.popen3 Open3.capture2e Open3.pipeline "
            "Process.spawn PTY.spawn syscall",
            (0,),
            "shell",
            when=_one_text,
        ),
        Sink(
            "command_injection",
            "` IO.popen popen",
            (0,),
            "shell",
            when=lambda s: not s.arg(0).items,
        ),
        Sink(
            "command_injection",
            "open Kernel.open URI.open IO.read IO.readlines",
            (0,),
            "shell",
            least=Level.INPUT,
        ),
        Sink(
            "code_injection",
            "eval instance_eval class_eval module_eval binding.eval "
            "Kernel.eval *.instance_eval *.class_eval *.module_eval",
            (0,),
            "code",
            when=lambda s: bool(s.args) and s.arg(0).path != "function",
        ),
        Sink(
            "reflection",
            "*.send *.public_send *.__send__ *.method *.try send public_send",
            (0,),
            "reflection",
            least=Level.INPUT,
        ),
        Sink(
            "reflection",
            "*.constantize *.safe_constantize Object.const_get *.const_get Kernel.const_get",
            (BASE, 0),
            "reflection",
            least=Level.INPUT,
        ),
        Sink(
            "unsafe_deserialization",
            "Marshal.load Marshal.restore YAML.unsafe_load "
            "Psych.unsafe_load Oj.load JSON.restore Psych.load_documents",
            (0,),
            "objects",
        ),
        Sink(
            "unsafe_deserialization",
            "YAML.load Psych.load YAML.load_documents",
            (0,),
            "objects",
            when=_unsafe_yaml,
            factor=0.98,
        ),
        Sink(
            "sql_injection",
            "where *.where *.order *.group *.having *.joins *.from *.select *.pluck "
            "*.find_by *.exists? *.update_all *.delete_all *.destroy_all *.lock *.reorder "
            "*.calculate *.not",
            (0,),
            "sql",
            when=_where_text,
        ),
        Sink(
            "sql_injection",
            "*.find_by_sql *.execute *.exec_query *.select_all *.query "
            "*.select_value *.exec *.select_rows *.count_by_sql *.exec_params *.prepare "
            "Arel.sql",
            (0,),
            "sql",
            built=True,
        ),
        Sink(
            "sql_injection",
            "*.order *.reorder *.group *.pluck Arel.sql",
            (0,),
            "sql",
            least=Level.REQUEST,
        ),
        Sink(
            "xss",
            "*.html_safe raw *.raw safe_concat *.safe_concat",
            (BASE, 0),
            "html",
            least=Level.UNKNOWN,
        ),
        Sink(
            "xss", "render", (), "html", options=("html", "inline", "text"), least=Level.PARAMETER
        ),
        Sink(
            "template_injection",
            "ERB.new new.ERB Liquid.Template.parse Haml.Engine.new Slim.Template.new Tilt.new",
            (0,),
            "template",
            least=Level.PARAMETER,
        ),
        Sink(
            "template_injection",
            "render",
            (),
            "template",
            options=("inline",),
            least=Level.PARAMETER,
        ),
        Sink(
            "path_traversal",
            "File.read File.open File.write File.delete File.new "
            "File.readlines IO.binread FileUtils.rm FileUtils.rm_rf Dir.glob Dir.entries "
            "File.unlink FileUtils.cp FileUtils.mv IO.write File.binread File.foreach Dir.children",
            (0,),
            "path",
        ),
        Sink("path_traversal", "send_file", (0,), "path", least=Level.PARAMETER),
        Sink(
            "path_traversal",
            "render",
            (),
            "path",
            options=("file", "template", "partial"),
            least=Level.INPUT,
        ),
        Sink(
            "open_redirect",
            "redirect_to redirect",
            (0,),
            "redirect",
            least=Level.INPUT,
            when=lambda s: leads_away(s) and _not_only_path(s) and not _MODEL.search(s.arg(0).path),
        ),
        Sink(
            "command_injection",
            "open",
            (0,),
            "shell",
            least=Level.INPUT,
            when=lambda s: s.arg(0).shape.startswith(HOLE),
        ),
        Sink(
            "ssrf",
            "Net.HTTP.get HTTParty.get RestClient.get Faraday.get URI.open "
            "Net.HTTP.get_response OpenURI.open_uri HTTP.get Excon.get Net.HTTP.post_form "
            "Typhoeus.get",
            (0,),
            "url",
            least=Level.INPUT,
            when=chooses_host,
        ),
        Sink(
            "mass_assignment",
            "*.new *.create *.update *.update_attributes *.create! "
            "*.update! *.assign_attributes *.insert_all",
            (0,),
            "fields",
            least=Level.REQUEST,
            when=lambda s: (
                re.match(r"params(?:$|\[)", s.arg(0).path) is not None
                and s.node.args[0].role != "pair"
            ),
        ),
        Sink("regex_injection", "Regexp.new Regexp.compile", (0,), "regex", least=Level.PARAMETER),
        Sink(
            "log_injection",
            "logger.info logger.warn logger.error Rails.logger.info",
            (0,),
            "line",
            least=Level.REQUEST,
        ),
        Sink(
            "dynamic_import",
            "load require_relative Kernel.load require",
            (0,),
            "path",
            least=Level.INPUT,
        ),
        Sink("ldap_injection", "Net.LDAP.Filter.construct *.search", (0,), "ldap", built=True),
        Sink(
            "xpath_injection",
            "*.xpath *.at_xpath REXML.XPath.first REXML.XPath.match XPath.first",
            (0, 1),
            "xpath",
            built=True,
        ),
        Sink("header_injection", "*.set_header", (1,), "line", least=Level.INPUT),
    ),
    properties=(
        Property("hardcoded_secret", "JWT.encode JWT.decode", literal_secret(1)),
        Property(
            "hardcoded_secret",
            "OpenSSL.HMAC.hexdigest OpenSSL.HMAC.digest HMAC.hexdigest",
            literal_secret(1),
        ),
        Property(
            "secret_logged",
            "logger.info logger.debug logger.warn Rails.logger.info Rails.logger.debug puts",
            logs_secret,
        ),
        Property("plain_password", "*.execute *.exec_params *.exec *.run", stores_typed),
        Property("path_traversal", "*.extract", _member),
        Property(
            "weak_hash",
            "Digest.MD5.hexdigest Digest.SHA1.hexdigest Digest.MD5.digest "
            "Digest.SHA1.digest OpenSSL.Digest.MD5.new OpenSSL.Digest.SHA1.new "
            "Digest.MD5.new Digest.MD5.base64digest Digest.SHA1.new",
            broken_hash,
        ),
        Property("weak_cipher", "OpenSSL.Cipher.new Cipher.new OpenSSL.Cipher.Cipher.new", _cipher),
        Property("weak_cipher", "OpenSSL.Cipher.DES.new OpenSSL.Cipher.RC4.new", lambda s: 0.8),
        Property(
            "weak_key",
            "OpenSSL.PKey.RSA.new OpenSSL.PKey.RSA.generate OpenSSL.PKey.DSA.new",
            few_bits(),
        ),
        Property(
            "weak_random",
            "rand Random.rand Random.new Kernel.rand *.sample *.shuffle",
            lambda s: random_secret(s) if s.option("random") is None else 0.0,
        ),
        Property("mass_assignment", "*.permit!", lambda s: 0.72),
        Property("file_permissions", "File.chmod FileUtils.chmod *.chmod", _mode),
        Property("tls_off", "OpenSSL.SSL.VERIFY_NONE", lambda s: 0.85),
        Property(
            "missing_csrf",
            "skip_before_action skip_before_filter skip_forgery_protection",
            lambda s: (
                0.6
                if s.name == "skip_forgery_protection" or s.text(0) == "verify_authenticity_token"
                else 0.0
            ),
        ),
        Property(
            "missing_csrf",
            "protect_from_forgery",
            lambda s: 0.5 if _with(s, "null_session") else 0.0,
        ),
        Property("unverified_token", "JWT.decode", _token_unverified),
        Property(
            "temporary_file",
            "File.open File.write File.new",
            shared_folder,
        ),
        Property(
            "xxe",
            "Nokogiri.XML Nokogiri.XML.parse",
            lambda s: (
                0.75
                if any(
                    p.name.upper() in ("NOENT", "DTDLOAD") for a in s.node.args for p in a.walk()
                )
                or any(
                    p.role == "call" and p.name == "noent" for a in s.node.args for p in a.walk()
                )
                else 0.0
            ),
        ),
        Property("cors_any", "origins", lambda s: 0.5 if s.arg(0).known == "*" else 0.0),
    ),
    settings=(
        Setting("tls_off", "verify_mode ssl_verify_mode", lambda v: "VERIFY_NONE" in v.path, 0.86),
        Setting(
            "tls_off",
            "verify verify_ssl ssl_verify verify_peer",
            lambda v: v.known == "false" or "VERIFY_NONE" in v.path,
            0.8,
        ),
        Setting("insecure_cookie", "httponly secure http_only", lambda v: v.known == "false", 0.6),
    ),
    cleaners=(
        Cleaner("Integer Float *.to_i *.to_f *.to_sym Integer.parse *.length *.size", "none"),
        Cleaner("Integer Float", "all"),
        Cleaner(
            "Shellwords.escape Shellwords.shellescape shellescape *.shellescape "
            "Shellwords.join *.shelljoin",
            "shell",
        ),
        Cleaner(
            "ERB.Util.html_escape CGI.escapeHTML h html_escape sanitize "
            "ERB.Util.h *.escapeHTML Rack.Utils.escape_html strip_tags "
            "ActionController.Base.helpers.sanitize",
            "html",
        ),
        Cleaner("File.basename *.basename", "path"),
        Cleaner(
            "ActiveRecord.Base.sanitize_sql sanitize_sql_array *.quote *.sanitize_sql "
            "*.quote_column_name sanitize_sql_like *.sanitize_sql_like",
            "sql",
        ),
        Cleaner(
            "CGI.escape URI.encode_www_form_component ERB.Util.url_encode",
            "url path html line redirect",
        ),
        Cleaner("Regexp.escape Regexp.quote", "regex"),
    ),
    formats="format sprintf Kernel.format",
    joins="File.join *.join Pathname.join",
    resolves="File.expand_path File.realpath *.realpath *.cleanpath File.absolute_path",
    trusted=r"^(?:block|blk|logger|db|conn|connection|client|response|session|options|opts|e|ex|io)$",
    globals=r"^(?:self|nil|true|false|Rails|File|Dir|IO|Kernel|Digest|OpenSSL|SecureRandom|"
    r"__dir__|__FILE__|Time|Date|Hash|Array|String|Integer|Float|JSON|YAML|Marshal|ERB|Logger|"
    r"Net|URI|Open3|FileUtils|Shellwords|CGI|Regexp|Psych|[A-Z]\w*(?:\.[A-Z]\w*)*$)",
    ends="raise exit abort head fail throw exit! redirect_to",
    implicit_return=True,
    advice={
        "command_injection": 'give each argument apart: system("ls", dir)',
        "sql_injection": 'use placeholders: where("name = ?", name) or where(name: name)',
        "xss": "leave html_safe and raw out; Rails escapes by itself",
        "unsafe_deserialization": "use JSON or YAML.safe_load",
        "reflection": "allow-list the names",
        "path_traversal": "use File.basename, or expand_path and check start_with?",
        "mass_assignment": "use params.require(:x).permit(:a, :b)",
        "weak_random": "use SecureRandom",
    },
)


def _not_only_path(site: Site) -> bool:
    only = site.option("only_path")
    return only is None or only.known != "true"


def _with(site: Site, word: str) -> bool:
    given = site.option("with")
    return given is not None and given.known == word
