import os

from django.http import JsonResponse


def thumbnail(request):
    width = request.GET["width"]
    pipe = os.popen("convert upload.png -resize %s thumb.png" % width)
    return JsonResponse({"log": pipe.read()})
