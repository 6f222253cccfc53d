from django.http import HttpResponse
from django.utils.html import escape


def search(request):
    term = escape(request.GET.get("q", ""))
    return HttpResponse(f"<p>No results for {term}</p>")
