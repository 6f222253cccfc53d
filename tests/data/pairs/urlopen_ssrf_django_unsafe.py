import urllib.request

from django.http import JsonResponse


def proxy(request):
    body = urllib.request.urlopen(request.GET["target"]).read()
    return JsonResponse({"size": len(body)})
