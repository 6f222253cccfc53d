import urllib.request

from django.http import HttpResponseBadRequest, JsonResponse

TARGETS = {"news": "https://news.example.org/rss", "jobs": "https://jobs.example.org/rss"}


def proxy(request):
    target = TARGETS.get(request.GET["target"])
    if target is None:
        return HttpResponseBadRequest()
    body = urllib.request.urlopen(target).read()
    return JsonResponse({"size": len(body)})
