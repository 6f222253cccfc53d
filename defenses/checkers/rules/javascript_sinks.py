"""JavaScript: calls in which data from outside does harm."""

from bluecode.defenses.checkers.rules.javascript_calls import (
    chooses_host,
    leads_away,
    object_query,
    shell_option,
    shell_program,
    text_first,
)
from bluecode.defenses.checkers.rules.rule import (
    ANY,
    Sink,
)  # fmt: skip
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.values import Level
from bluecode.defenses.checkers.rules.words import more_than_address, speaks_sql


def _replaces(site: Site) -> bool:
    """Does jQuery's `html` put in what others decide, or markup that is put together?"""
    value = site.arg(0)
    return len(site.args) == 1 and (value.level > Level.UNKNOWN or "built" in value.marks)


LOGS = (
    "console.log console.info console.warn console.error console.debug logger.info logger.warn "
    "logger.error logger.debug log.info winston.info"
)
ANSWERS = (
    "res.send res.json res.end response.send response.json reply.send res.status().send "
    "res.status().json res.status().end response.status().send response.status().json"
)

SINKS = (
    Sink(
        "path_traversal",
        "res.render response.render reply.view ctx.render",
        (0,),
        "path",
        least=Level.REQUEST,
        factor=0.8,
    ),
    Sink(
        "prototype_pollution",
        "_.merge _.defaultsDeep _.mergeWith _.set _.setWith lodash.merge lodash.set "
        "lodash.defaultsDeep merge deepmerge $.extend jQuery.extend",
        (1, 2),
        "keys",
        least=Level.REQUEST,
        when=lambda s: s.name != "extend" or s.arg(0).known == "true",
    ),
    Sink(
        "log_injection",
        "fs.appendFileSync fs.appendFile appendFileSync appendFile",
        (1,),
        "line",
        least=Level.REQUEST,
        when=lambda s: "log" in s.arg(0).shape + s.arg(0).path.lower(),
    ),
    Sink(
        "command_injection",
        "child_process.exec child_process.execSync shell.exec "
        "shelljs.exec exec.exec execa.command execa.commandSync execaCommand execaCommandSync "
        "execSync cp.exec cp.execSync childProcess.exec childProcess.execSync ChildProcess.exec "
        " exec execAsync execPromise "
        "ssh.execCommand conn.exec",
        label="shell",
        when=text_first,
    ),
    Sink(
        "command_injection",
        "*.spawn *.spawnSync *.execFile *.execFileSync spawn spawnSync execFile execFileSync execa",
        (0, 1),
        "shell",
        when=shell_option,
    ),
    Sink(
        "command_injection",
        "*.spawn *.spawnSync *.execFile *.execFileSync spawn spawnSync execFile execFileSync execa",
        (1,),
        "shell",
        when=shell_program,
    ),
    Sink(
        "command_injection",
        "new.Deno.Command new.Command",
        (),
        "shell",
        options=("args",),
        when=lambda s: s.text(0).rpartition("/")[2] in ("sh", "bash", "zsh", "cmd", "cmd.exe"),
    ),
    Sink(
        "xss",
        "*.bypassSecurityTrustHtml *.bypassSecurityTrustScript *.bypassSecurityTrustUrl "
        "*.bypassSecurityTrustResourceUrl",
        (0,),
        "html",
        least=Level.PARAMETER,
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
            speaks_sql(s)
            or s.arg(0).level >= Level.REQUEST
            or s.name.lower().endswith(("raw", "unsafe", "literal"))
        ),
    ),
    Sink(
        "sql_injection",
        "*.query *.execute *.all *.run *.get",
        label="sql",
        built=True,
        when=speaks_sql,
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
        when=object_query,
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
        "fs.rename fs.renameSync fs.copyFile fs.copyFileSync promises.rename promises.copyFile",
        (1,),
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
        when=lambda s: s.name != "html" or _replaces(s),
    ),
    Sink(
        "xss",
        "res.status().send res.status().end reply.code().send "
        "res.send response.send res.write res.end response.write response.end reply.send c.html",
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
        when=lambda s: leads_away(s),
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
        when=lambda s: chooses_host(s),
    ),
    Sink("ssrf", "page.goto *.goto", (0,), "url", least=Level.INPUT, when=chooses_host),
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
        when=lambda s: any("listed" not in arg.marks for arg in s.args[1:]),
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
        when=more_than_address,
    ),
    Sink(
        "header_injection",
        "res.setHeader res.header res.set response.setHeader res.writeHead",
        (1,),
        "line",
        least=Level.INPUT,
        when=lambda s: s.text(0) != "location" and "Location" not in s.arg(1).fields,
    ),
    Sink(
        "open_redirect",
        "res.setHeader res.header res.set response.setHeader reply.header",
        (1,),
        "redirect",
        least=Level.INPUT,
        when=lambda s: (
            s.text(0) == "location"
            and leads_away(Site(s.name, s.base, s.args[1:], s.node, s.words))
        ),
    ),
    Sink(
        "open_redirect",
        "res.writeHead response.writeHead",
        (),
        "redirect",
        options=("Location", "location"),
        least=Level.REQUEST,
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
)
"""What data from outside must not reach."""
