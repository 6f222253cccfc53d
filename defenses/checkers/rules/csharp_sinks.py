"""C#: calls in which data from outside does harm."""

import re

from bluecode.defenses.checkers.rules.csharp_calls import (
    QUERY_OBJECTS,
)
from bluecode.defenses.checkers.rules.rule import (
    Sink,
)
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.values import Level
from bluecode.defenses.checkers.rules.words import (
    chooses_host,
    is_shell,
    leads_away,
    speaks_sql,
)


def _starts(site: Site) -> bool:
    """Is it given a description of what to start, not its name?"""
    return re.search(r"(?i)info|psi$|process", site.arg(0).path) is not None


SINKS = (
    Sink(
        "sql_injection",
        QUERY_OBJECTS,
        (0,),
        "sql",
        when=lambda s: speaks_sql(s) or "built" in s.arg(0).marks,
    ),
    Sink(
        "sql_injection",
        "*.ExecuteSqlCommand *.FromSqlRaw *.ExecuteSqlRaw *.SqlQuery "
        "*.ExecuteSqlRawAsync *.ExecuteQuery *.CreateSQLQuery *.FromSql *.ExecuteScalar "
        "*.ExecuteNonQuery *.ExecuteReader *.Query *.QueryAsync *.Execute *.ExecuteAsync "
        "*.QueryFirst *.QueryFirstOrDefault *.ExecuteDataset",
        (0,),
        "sql",
        built=True,
        when=speaks_sql,
    ),
    Sink(
        "sql_injection",
        "*.ExecuteScalar *.ExecuteNonQuery *.ExecuteReader *.Query *.Execute *.ExecuteDataset "
        "*.SqlQuery",
        (1,),
        "sql",
        built=True,
        when=lambda s: speaks_sql(s, 1) and not s.arg(1).fields,
    ),
    Sink(
        "sql_injection",
        "*.ExecuteScalar *.ExecuteNonQuery *.ExecuteReader *.ExecuteDataset",
        (2,),
        "sql",
        built=True,
        when=lambda s: speaks_sql(s, 2) and not s.arg(2).fields,
    ),
    Sink(
        "command_injection",
        "Process.Start",
        (0, 1),
        "shell",
        when=lambda s: is_shell(s) or len(s.args) == 1 and not s.arg(0).fields and not _starts(s),
    ),
    Sink(
        "command_injection",
        "Process.Start new.ProcessStartInfo",
        (1,),
        "shell",
        options=("Arguments",),
        factor=0.98,
    ),
    Sink(
        "argument_injection",
        "Process.Start new.ProcessStartInfo",
        (0,),
        "shell",
        options=("FileName",),
        least=Level.PARAMETER,
        factor=1.35,
    ),
    Sink(
        "unsafe_deserialization",
        "BinaryFormatter.Deserialize SoapFormatter.Deserialize "
        "NetDataContractSerializer.Deserialize LosFormatter.Deserialize "
        "ObjectStateFormatter.Deserialize NetDataContractSerializer.ReadObject "
        "BinaryFormatter.UnsafeDeserialize",
        (0,),
        "objects",
    ),
    Sink(
        "path_traversal",
        "File.ReadAllText File.ReadAllBytes File.Open File.OpenRead "
        "File.WriteAllText File.Delete File.WriteAllBytes new.FileStream new.StreamReader "
        "new.StreamWriter Directory.Delete File.Copy File.Move File.Create File.AppendAllText "
        "Directory.GetFiles File.ReadAllLines Directory.CreateDirectory *.SaveAs "
        "File.OpenWrite System.IO.File.ReadAllText System.IO.File.ReadAllBytes",
        (0,),
        "path",
    ),
    Sink(
        "path_traversal",
        "PhysicalFile File Controller.File Results.File",
        (0,),
        "path",
        least=Level.INPUT,
    ),
    Sink(
        "xss",
        "Response.Write *.WriteAsync Html.Raw new.HtmlString new.MvcHtmlString "
        "MvcHtmlString.Create",
        (0,),
        "html",
        least=Level.PARAMETER,
        when=lambda s: s.name != "WriteAsync" or s.arg(0).level >= Level.REQUEST,
    ),
    Sink(
        "xss",
        "Content",
        (0,),
        "html",
        least=Level.PARAMETER,
        when=lambda s: "html" in s.text(1),
    ),
    Sink(
        "open_redirect",
        "Redirect Response.Redirect RedirectPermanent new.RedirectResult "
        "Results.Redirect *.Redirect",
        (0,),
        "redirect",
        least=Level.PARAMETER,
        when=leads_away,
        factor=1.05,
    ),
    Sink(
        "ssrf",
        "*.GetAsync *.GetStringAsync WebRequest.Create *.DownloadString *.PostAsync "
        "HttpWebRequest.Create *.DownloadData *.SendAsync *.OpenRead *.GetStreamAsync "
        "*.GetByteArrayAsync",
        (0,),
        "url",
        least=Level.INPUT,
        when=chooses_host,
    ),
    Sink(
        "xpath_injection",
        "*.SelectSingleNode *.SelectNodes *.Select *.Evaluate "
        "*.XPathSelectElement *.XPathSelectElements XPathExpression.Compile *.Compile",
        (0,),
        "xpath",
        when=lambda s: s.name not in ("Select", "Evaluate", "Compile") or "/" in s.arg(0).shape,
    ),
    Sink("ldap_injection", "new.DirectorySearcher new.SearchRequest", (0, 1), "ldap", built=True),
    Sink(
        "code_injection",
        "CSharpScript.EvaluateAsync CSharpScript.RunAsync "
        "*.CompileAssemblyFromSource *.DataBinder.Eval",
        (0, 1),
        "code",
    ),
    Sink(
        "reflection",
        "Type.GetType Activator.CreateInstance Assembly.Load Assembly.LoadFrom",
        (0,),
        "reflection",
        least=Level.PARAMETER,
    ),
    Sink(
        "log_injection",
        "_logger.LogInformation logger.LogInformation _logger.LogError "
        "_logger.LogWarning Log.Information",
        (0,),
        "line",
        least=Level.REQUEST,
    ),
    Sink(
        "header_injection",
        "*.AddHeader Headers.Add *.AppendHeader",
        (1,),
        "line",
        least=Level.INPUT,
    ),
    Sink(
        "regex_injection",
        "new.Regex Regex.IsMatch Regex.Match Regex.Replace",
        (0, 1),
        "regex",
        least=Level.PARAMETER,
        when=lambda s: s.name == "Regex",
    ),
    Sink(
        "xxe",
        "*.LoadXml",
        (0,),
        "xml",
        least=Level.REQUEST,
        when=lambda s: s.mentions(r"XmlUrlResolver"),
    ),
)
"""What data from outside must not reach."""
