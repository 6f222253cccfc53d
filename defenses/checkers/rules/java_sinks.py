"""Java: calls in which data from outside does harm."""

from bluecode.defenses.checkers.rules.java_calls import (
    command_list,
    command_text,
    loader,
    object_stream,
    page,
    stream,
)
from bluecode.defenses.checkers.rules.rule import (
    ANY,
    BASE,
    Sink,
)
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.values import Level
from bluecode.defenses.checkers.rules.words import (
    chooses_host,
    leads_away,
    speaks_sql,
)

FILES = (
    "new.File new.FileInputStream new.FileOutputStream new.FileReader new.FileWriter "
    "new.RandomAccessFile Files.readAllBytes Files.readString Files.newInputStream "
    "Files.newBufferedReader Files.write Files.delete Files.copy Files.lines new.PrintWriter "
    "new.ZipFile Files.newOutputStream Files.writeString Files.deleteIfExists *.transferTo "
    "Files.createFile"
)
CONTAINED = r"getCanonicalPath|getCanonicalFile|toRealPath|normalize\(\).*startsWith"
"""The code compares a path in its one true form, somewhere."""
MEMBERS = r"(?:Zip|Jar|Tar|Archive)\w*Entry|getNextEntry"
"""Members of an archive, whose names its maker chooses."""


def _from_stream(site: Site) -> bool:
    """`Files.copy(in, target)`: the first is what is written, and the second is harmless."""
    return "Stream" in site.arg(0).path and site.arg(1).level_for("path") is Level.NONE


SINKS = (
    Sink(
        "command_injection",
        "*.exec",
        (0,),
        "shell",
        when=lambda s: "untime" in s.base.path and command_text(s),
    ),
    Sink(
        "command_injection",
        "*.exec",
        (0,),
        "shell",
        when=lambda s: "untime" in s.base.path and command_list(s),
    ),
    Sink("command_injection", "new.ProcessBuilder *.command", (ANY,), "shell", when=command_list),
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
        FILES,
        (0, 1),
        "path",
        when=lambda s: not s.mentions(CONTAINED) and not _from_stream(s),
    ),
    Sink(
        "path_traversal",
        FILES,
        (0, 1),
        "path",
        least=Level.INPUT,
        factor=1.6,
        when=lambda s: s.mentions(MEMBERS) and not s.mentions(CONTAINED),
    ),
    Sink(
        "xss",
        "*.println *.print *.write *.printf *.append *.format",
        (0, 1),
        "html",
        least=Level.INPUT,
        when=lambda s: page(s),
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
        when=lambda s: object_stream(s) and stream(s),
    ),
    Sink("unsafe_deserialization", "new.ObjectInputStream", (0,), "objects", when=object_stream),
    Sink(
        "unsafe_deserialization",
        "*.load Yaml.load *.fromXML XStream.fromXML *.readObject new.XMLDecoder JSON.parseObject",
        (0,),
        "objects",
        least=Level.UNKNOWN,
        when=lambda s: loader(s),
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
        (0, 1, 3),
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
        "logger.info logger.warn logger.error log.info LOG.info logger.debug log.warn log.error",
        (ANY,),
        "line",
        least=Level.REQUEST,
    ),
    Sink("regex_injection", "Pattern.compile", (0,), "regex", least=Level.PARAMETER),
    Sink("regex_injection", "*.matches *.replaceAll *.split", (0,), "regex", least=Level.REQUEST),
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
)
"""What data from outside must not reach."""
