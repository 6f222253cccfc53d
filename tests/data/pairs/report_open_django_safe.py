import os

from django.http import HttpResponse


def report(request, name):
    with open("reports/" + os.path.basename(name)) as file:
        return HttpResponse(file.read(), content_type="text/plain")
